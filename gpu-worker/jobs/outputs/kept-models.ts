/** Models that a training keeps on its way, published beside the one at its end, and carried to the next attempt. */
import { readdirSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { paramError } from '../../../shared/contracts/problem.ts';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';
import contract from '../../../shared/jobs/lm.train.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import type { TrainedModel } from '../../lm/index.ts';
import type { KeptModel } from '../checkpoints/published-training.ts';
import type { CheckpointPart } from '../checkpoints/training-checkpoints.ts';
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
  readonly #stored = new Map<number, { kept: KeptModel; parts: CheckpointPart[] }>();

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

  /** Those so far as parts of a checkpoint; each is stored once. */
  stored = async (): Promise<{ kept: KeptModel[]; parts: CheckpointPart[] }> => {
    for (const [step, folder] of this.#folders) {
      if (this.#stored.has(step)) {
        continue;
      }
      const files = readdirSync(folder).map((name) => ({ name, part: `kept-${step}-${name}` }));
      const parts: CheckpointPart[] = [];
      for (const { name, part } of files) {
        const content = await this.#context.artefact(part, 'application/octet-stream', { file: join(folder, name) });
        parts.push({ name: part, content });
      }
      this.#stored.set(step, { kept: { step, files }, parts });
    }
    const all = [...this.#stored.values()];
    return { kept: all.map(({ kept }) => kept), parts: all.flatMap(({ parts }) => parts) };
  };

  /** Whether a training may go on after `step`: none that was to be kept up to there is missing. */
  complete = (step: number, kept: readonly KeptModel[]): boolean =>
    this.steps.every((own) => own > step || kept.some((model) => model.step === own));

  /** Takes over those of an earlier attempt. @throws SextantError `unavailable`, `artefact_mismatch` */
  async restore(kept: readonly KeptModel[]): Promise<void> {
    const { last } = this.#context.checkpoint;
    for (const { step, files } of kept) {
      const folder = join(this.#context.scratch, `kept-${step}`);
      await mkdir(folder, { recursive: true });
      for (const { name, part } of files) {
        await copyFile(await last!.file(part), join(folder, name));
      }
      this.#folders.set(step, folder);
    }
  }

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
