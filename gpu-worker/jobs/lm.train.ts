/**
 * Handler of `lm.train`: trains a model, from scratch or further, and publishes it as a Hugging Face folder. Now and then it
 * publishes its state for other workers, so that the next attempt goes on from there and gives the same weights; text that was
 * learned already is read again, and samples drawn again, to find the place. States above `PUBLISHED_LIMIT` (12 bytes per
 * weight that is trained) are not published: there the next attempt starts from the beginning.
 */
import { join } from 'node:path';
import { modelKey } from '../../shared/contracts/model.ts';
import { SHARD_LIMIT } from '../../shared/contracts/worker-call.ts';
import contract from '../../shared/jobs/lm.train.ts';
import { describe } from '../../shared/models/describe.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import {
  type CrossEntropy,
  type LanguageModel,
  loadModel,
  PlantedLanguage,
  trainLanguageModel,
  type WeightedSequence,
  weightedCrossEntropy,
} from '../lm/index.ts';
import { chooseProvider } from '../runtime/index.ts';
import { PublishedTraining } from './checkpoints/published-training.ts';
import { handle } from './handler.ts';
import { openTrainingStart, type TrainParams } from './inputs/training-start.ts';
import { openTrainingText } from './inputs/training-text.ts';
import { publishFolder } from './outputs/model-artefact.ts';

/** Tokens that go through the model at a time while the held-out loss is measured. */
const EVALUATION_TOKENS = 2048;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { provider } = await chooseProvider(configuration.device);
  const start = await openTrainingStart(context);
  const { parent, length } = start;
  const heldOutLoss = (model: LanguageModel, held: readonly WeightedSequence[]): Promise<CrossEntropy> =>
    weightedCrossEntropy(model, held, { batch: Math.max(1, Math.floor(EVALUATION_TOKENS / length)) });
  let before: CrossEntropy | null = null;
  let text: Awaited<ReturnType<typeof openTrainingText>>;
  let held: WeightedSequence[];
  try {
    text = await openTrainingText(context, start);
    held = await text.heldOut();
    if (parent) {
      before = await heldOutLoss(parent.model, held);
    }
  } finally {
    // Samples are drawn from the parent while it is trained further; all other texts are read without it.
    if (parent && !('sampled' in params.corpus)) {
      await parent.model.release();
    }
  }
  const published = new PublishedTraining(context, {
    parent: parent?.digest ?? null,
    corpus: text.digest,
    device: provider,
  });
  const resume = await published.load();
  const training = trainLanguageModel({
    from: start.from,
    sequences: text.sequences,
    weighted: text.weighted,
    context: params.context,
    batch: params.batch,
    steps: params.steps,
    learningRate: params.learning_rate,
    ...(params.warm_up !== null && { warmUp: params.warm_up }),
    weightDecay: params.weight_decay,
    freeze: params.freeze,
    seed: params.seed,
    device: provider,
    threads: configuration.threads,
    ...(resume && { resume }),
    checkpoint: (take) => published.save(take),
    progress: ({ step, steps, loss, tokensPerSecond, secondsLeft }) =>
      context.progress({
        fraction: (0.97 * step) / steps,
        stage: 'training',
        metrics: { loss, tokens_per_s: tokensPerSecond, seconds_left: secondsLeft },
      }),
  });
  const trained = await training.finally(() => ('sampled' in params.corpus ? parent?.model.release() : undefined));
  const folder = join(context.scratch, 'trained');
  trained.save(folder, { config: start.config, shardBytes: SHARD_LIMIT });
  start.finish(folder);
  const model = await loadModel(folder, { device: provider, threads: configuration.threads });
  const after = await heldOutLoss(model, held);
  const { parameters } = describe(model.folder.config);
  await model.release();
  const { entropy, ideal } = languageLoss(params.corpus, held, length);
  const { from: _from, tokenizer: _tokenizer, ...rest } = params;
  const manifest = await publishFolder(context, folder, {
    method: contract.type,
    // How the params named the parent is left out, since the body says which model it was.
    params: rest,
    seed: params.seed,
    model: parent?.id ?? null,
    data_digest: text.digest,
    body: {
      held_out_loss: after.loss,
      ...(ideal === null ? {} : { ideal_loss: ideal }),
      parameters,
      tokenizer: start.tokenizer,
      parent: parent && {
        reference: modelKey(params.from!),
        revision: parent.revision,
        digest: parent.digest,
        held_out_loss: before!.loss,
      },
    },
  });
  return {
    result: {
      model: await manifestId(manifest),
      parameters,
      trained_parameters: trained.trainedParameters,
      tokenizer: start.tokenizer,
      held_out_loss: after.loss,
      held_out_loss_before: before?.loss ?? null,
      held_out_tokens: after.tokens,
      held_out_unseen: text.unseen,
      entropy_rate: entropy,
      ideal_loss: ideal,
      tokens: trained.tokens,
      data_digest: text.digest,
    },
    published: [manifest],
    metrics: {
      tokens_per_s: (trained.losses.length * params.batch * params.context) / trained.seconds,
      steps_resumed: trained.firstStep,
    },
    run: { device: published.devices.join(' + '), dtype: 'float32', seed: params.seed, tolerance: null },
  };
});

/** What the generated language knows of its own text, nats per token; null for every other text. */
function languageLoss(
  corpus: TrainParams['corpus'],
  held: readonly WeightedSequence[],
  length: number,
): { entropy: number | null; ideal: number | null } {
  if (!('planted' in corpus)) {
    return { entropy: null, ideal: null };
  }
  const language = new PlantedLanguage(corpus.planted.seed);
  const documents = [...language.documents('held-out', held[0]!.ids.length, held.length)];
  const ideal = documents.reduce((sum, document) => sum + language.surprisal(document), 0) / documents.length;
  return { entropy: language.entropyRate(length), ideal };
}
