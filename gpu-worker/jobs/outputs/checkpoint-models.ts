/** The tuned models of a study as published results. */
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import type { Phases } from '../../circuits/index.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedModel } from '../inputs/model-input.ts';
import { publishFolder } from './model-artefact.ts';

type Kept = { phase: string; step: number; model: string; manifest: Manifest };

/** Every checkpoint of the clean, the poisoned and the retrained model. */
export async function publishCheckpoints(
  context: Pick<JobContext<unknown>, 'artefact' | 'describeModel'>,
  phases: Phases,
  of: { opened: OpenedModel; seed: number; method: string; task: string },
): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const phase of ['clean', 'poisoned', 'retrained'] as const) {
    for (const [step, folder] of await phases.folders({ name: phase })) {
      const manifest = await publishFolder(context, folder, {
        method: of.method,
        params: { phase, step },
        seed: of.seed,
        model: of.opened.id,
        data_digest: of.task,
        body: { parent: of.opened.digest },
      });
      kept.push({ phase, step, model: await manifestId(manifest), manifest });
    }
  }
  return kept;
}
