/** A language model that was trained: saved, measured on held-out text and published. */
import { join } from 'node:path';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { modelKey } from '../../../shared/contracts/model.ts';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import contract from '../../../shared/jobs/lm.train.ts';
import { describe } from '../../../shared/models/describe.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import {
  type CrossEntropy,
  heldOutLoss,
  loadModel,
  plantedLoss,
  type TrainedModel,
  type WeightedSequence,
} from '../../lm/index.ts';
import type { Provider } from '../../runtime/index.ts';
import type { JobContext } from '../handler.ts';
import type { TrainingStart, TrainingText, TrainParams } from '../inputs/training-start.ts';
import { publishFolder } from './model-artefact.ts';

type Origin = {
  start: TrainingStart;
  text: TrainingText;
  held: readonly WeightedSequence[];
  /** Of the model that was trained further. */
  before: CrossEntropy | null;
  device: Provider;
};

export async function publishTrained(
  context: JobContext<TrainParams>,
  trained: TrainedModel,
  { start, text, held, before, device }: Origin,
): Promise<{ result: Omit<ResultOf<typeof contract>, 'checkpoints'>; manifest: Manifest }> {
  const { params, configuration } = context;
  const { parent, length } = start;
  const folder = join(context.scratch, 'trained');
  trained.save(folder, { config: start.config, shardBytes: SHARD_LIMIT });
  start.finish(folder);
  const model = await loadModel(folder, { device, threads: configuration.threads });
  const after = await heldOutLoss(model, held, length);
  const { parameters } = describe(model.folder.config);
  await model.release();
  const known = 'planted' in params.corpus ? plantedLoss(params.corpus.planted.seed, held, length) : null;
  // How the params named the parent is left out, since the body says which model it was.
  const { from, tokenizer: _tokenizer, ...rest } = params;
  const manifest = await publishFolder(context, folder, {
    method: contract.type,
    params: rest,
    seed: params.seed,
    model: parent?.id ?? null,
    data_digest: text.digest,
    body: {
      held_out_loss: after.loss,
      ...(known && { ideal_loss: known.ideal }),
      parameters,
      tokenizer: start.tokenizer,
      parent: parent &&
        from && {
          reference: modelKey(from),
          revision: parent.revision,
          digest: parent.digest,
          held_out_loss: before?.loss ?? null,
        },
    },
  });
  const result = {
    model: await manifestId(manifest),
    parameters,
    trained_parameters: trained.trainedParameters,
    tokenizer: start.tokenizer,
    held_out_loss: after.loss,
    held_out_loss_before: before?.loss ?? null,
    held_out_tokens: after.tokens,
    held_out_unseen: text.unseen,
    entropy_rate: known?.entropy ?? null,
    ideal_loss: known?.ideal ?? null,
    tokens: trained.tokens,
    text: await text.account(trained.tokens),
    held_out_text: await text.heldOutAccount(),
    data_digest: text.digest,
  };
  return { result, manifest };
}
