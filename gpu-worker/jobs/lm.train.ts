/**
 * Handler of `lm.train`: trains a model, from scratch or further, and publishes it as a Hugging Face folder. Now and then it
 * publishes its state for other workers, so that the next attempt goes on from there and gives the same weights; text that was
 * learned already is read again, and samples drawn again, to find the place. States above `PUBLISHED_LIMIT` (12 bytes per
 * weight that is trained) are not published: there the next attempt starts from the beginning.
 */
import contract from '../../shared/jobs/lm.train.ts';
import { heldOutLoss, statedTraining, trainLanguageModel, trainSettings } from '../lm/index.ts';
import { chooseProvider } from '../runtime/index.ts';
import { PublishedTraining } from './checkpoints/published-training.ts';
import { handle, type JobContext } from './handler.ts';
import { openTrainingStart, type TrainingStart, type TrainParams } from './inputs/training-start.ts';
import { openTrainingText } from './inputs/training-text.ts';
import { KeptModels, requireCheckpoints } from './outputs/kept-models.ts';
import { publishTrained } from './outputs/trained-model.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  requireCheckpoints(params);
  const { provider: device } = await chooseProvider(configuration.device);
  const start = await openTrainingStart(context);
  const { parent } = start;
  const { text, held, before } = await readBefore(context, start);
  const published = new PublishedTraining(context, { parent: parent?.digest ?? null, corpus: text.digest, device });
  const kept = new KeptModels(context, start, params.checkpoints);
  const saved = await published.load();
  const resume = saved && kept.complete(saved.training.step, saved.kept) ? saved.training : undefined;
  await kept.restore(resume ? saved!.kept : []);
  const training = trainLanguageModel({
    ...trainSettings(params),
    from: start.from,
    sequences: text.sequences,
    weighted: text.weighted,
    device,
    threads: configuration.threads,
    ...(resume && { resume }),
    keep: kept,
    checkpoint: (take) => published.save(take, kept.stored),
    progress: (now) => context.progress(statedTraining(now)),
  });
  const trained = await training.finally(() => (samples(params) ? parent?.model.release() : undefined));
  const { result, manifest } = await publishTrained(context, trained, { start, text, held, before, device });
  const checkpoints = await kept.publish(text.digest);
  return {
    result: { ...result, checkpoints: checkpoints.map(({ step, model }) => ({ step, model })) },
    published: [manifest, ...checkpoints.map((checkpoint) => checkpoint.manifest)],
    metrics: {
      tokens_per_s: (trained.losses.length * params.batch * params.context) / trained.seconds,
      steps_resumed: trained.firstStep,
    },
    run: { device: published.devices.join(' + '), dtype: 'float32', seed: params.seed, tolerance: null },
  };
});

const samples = ({ corpus }: TrainParams): boolean => 'sampled' in corpus;

/** The text, and what the model that is trained further loses on its held-out part. */
async function readBefore(context: JobContext<TrainParams>, start: TrainingStart) {
  const { parent, length } = start;
  try {
    const text = await openTrainingText(context, start);
    const held = await text.heldOut();
    return { text, held, before: parent && (await heldOutLoss(parent.model, held, length)) };
  } finally {
    // Samples are drawn from the parent while it is trained further; all other texts are read without it.
    if (parent && !samples(context.params)) {
      await parent.model.release();
    }
  }
}
