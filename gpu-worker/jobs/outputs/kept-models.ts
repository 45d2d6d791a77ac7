/** Models that a training keeps on its way, published beside the one at its end. */
import { join } from 'node:path';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { paramError } from '../../../shared/contracts/problem.ts';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';
import contract from '../../../shared/jobs/lm.train.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import type { TrainedModel } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import type { TrainingStart, TrainParams } from '../inputs/training-start.ts';
import { publishFolder } from './model-artefact.ts';

/** @throws SextantError `data_invalid` for a step beyond the end, or one that is named twice */
export function requireCheckpoints({ checkpoints, steps }: TrainParams): void {
  for (const [i, step] of checkpoints.entries()) {
    if (step > steps) {
      throw paramError('data_invalid', `/checkpoints/${i}`, `step ${step} is beyond the end, which is step ${steps}`);
    }
    if (checkpoints.indexOf(step) !== i) {
      throw paramError('data_invalid', `/checkpoints/${i}`, `step ${step} is named twice`);
    }
  }
}

export class KeptModels {
  readonly steps: readonly number[];
  readonly #context: JobContext<TrainParams>;
  readonly #start: TrainingStart;
  readonly #folders = new Map<number, string>();

  constructor(context: JobContext<TrainParams>, start: TrainingStart, steps: readonly number[]) {
    this.#context = context;
    this.#start = start;
    this.steps = steps;
  }

  /** Called at each of the steps. */
  take = (step: number, save: TrainedModel['save']): void => {
    const folder = join(this.#context.scratch, `kept-${step}`);
    save(folder, { config: this.#start.config, shardBytes: SHARD_LIMIT });
    this.#start.finish(folder);
    this.#folders.set(step, folder);
  };

  async publish(digest: string): Promise<{ step: number; model: string; manifest: Manifest }[]> {
    const { params } = this.#context;
    const { parent } = this.#start;
    const { from: _from, tokenizer: _tokenizer, ...rest } = params;
    const found = [];
    for (const step of this.steps) {
      const folder = this.#folders.get(step)!;
      const manifest = await publishFolder(this.#context, folder, {
        method: contract.type,
        params: rest,
        seed: params.seed,
        model: parent?.id ?? null,
        data_digest: digest,
        body: { step, parent: parent && { digest: parent.digest, revision: parent.revision } },
      });
      found.push({ step, model: await manifestId(manifest), manifest });
    }
    return found;
  }
}
