/** The report of `sae.evaluate`, from a model's activations or from files, and the result that names it. */
import type { ParamsOf, ResultOf } from '../../../shared/jobs/contract.ts';
import contract from '../../../shared/jobs/sae.evaluate.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { densitySvg, evaluatedSae, type SaeEvaluation, type TrainedSae } from '../../sae/index.ts';
import type { JobContext, JobOutcome } from '../handler.ts';
import { publishReport } from './report.ts';

type Result = ResultOf<typeof contract>;
type Stated = Parameters<typeof evaluatedSae>[2];

export class SaeEvaluations {
  readonly #saes: Result['saes'] = [];
  readonly #documents: Record<string, unknown>[] = [];
  readonly #plots: { name: string; svg: string }[] = [];

  add(sae: TrainedSae, found: SaeEvaluation, of: Stated): void {
    const entry = evaluatedSae(sae, found, of);
    const title = `${sae.variant}, ${sae.parameters.width} latents${of.hook === null ? '' : `, ${of.hook}`}`;
    this.#plots.push({ name: `density-${this.#saes.length}`, svg: densitySvg(title, found.densities) });
    this.#documents.push({ ...entry, density_histogram: found.densities });
    this.#saes.push(entry);
  }

  /** @param of what was read, and where it is from; `hook` where it is one */
  async publish(
    context: JobContext<ParamsOf<typeof contract>>,
    of: Pick<Result, 'tokens' | 'text' | 'rows' | 'data_digest'> & {
      model: { id: string | null; digest: string | null };
      hook: string | null;
      device: string;
    },
  ): Promise<JobOutcome<Result>> {
    const { params } = context;
    const { seed } = params;
    const { model, hook, device, ...read } = of;
    const manifest = await publishReport(
      context,
      { kind: 'sae_evaluation', body: { ...read, saes: this.#documents }, plots: this.#plots },
      {
        method: contract.type,
        params,
        model,
        seed,
        hook,
        dataDigest: read.data_digest,
        body: {
          saes: this.#saes.map(({ id, fvu, l0 }) => ({ id, fvu, l0 })),
          mismatch: this.#saes.some(({ mismatch }) => mismatch.length > 0),
        },
      },
    );
    return {
      result: { saes: this.#saes, ...read, report: await manifestId(manifest) },
      published: [manifest],
      metrics: {},
      run: { device, dtype: 'float32', seed, tolerance: null },
    };
  }
}
