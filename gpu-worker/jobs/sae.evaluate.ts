/** Handler of `sae.evaluate`: sign-safe measures, scores against known axes, and the model's loss with the SAE spliced in. */
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/sae.evaluate.ts';
import { steerByLatent } from '../directions/latent-steering.ts';
import { Encoder, evaluateRows, HeldOutEvaluation, sampleRows } from '../sae/index.ts';
import { handle, type JobContext, type JobOutcome } from './handler.ts';
import { openActivations } from './inputs/activation-files.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeLabelled, encodeSteering, openSpelling } from './inputs/sae-tasks.ts';
import { openSae, openSaeForRows } from './outputs/sae-artefact.ts';
import { SaeEvaluations } from './outputs/sae-evaluation.ts';

type Params = ParamsOf<typeof contract>;
type Outcome = Promise<JobOutcome<ResultOf<typeof contract>>>;

/** Held-out sequences on which steering should change little. */
const STEERED_SEQUENCES = 32;

export default handle(contract, async (context) => {
  const { model, corpus, activations } = context.params;
  const encoder = new Encoder({ threads: context.configuration.threads, spinning: false });
  try {
    if (activations) {
      return await onFiles(context, activations, encoder);
    }
    if (!model || !corpus) {
      throw new RangeError('params without activations name a model and a corpus');
    }
    return await onText(context, { model, corpus }, encoder);
  } finally {
    await encoder.release();
  }
});

const progressOf = (context: JobContext<Params>) => (fraction: number, stage: string, tokens: number) =>
  context.progress({ fraction, stage, metrics: { tokens } });

async function onFiles(
  context: JobContext<Params>,
  activations: NonNullable<Params['activations']>,
  encoder: Encoder,
): Outcome {
  const { params } = context;
  const { seed } = params;
  const progress = progressOf(context);
  progress(0, 'opening the files', 0);
  const opened = await openActivations(context, activations);
  const held = sampleRows(opened.files, params.tokens, seed);
  const used = held.tokens.length;
  const evaluations = new SaeEvaluations();
  const hooks = new Set<string | null>();
  for (const [i, id] of params.saes.entries()) {
    const { sae, hook, mismatch } = await openSaeForRows(context, id, opened, params.allow_mismatch);
    hooks.add(hook);
    const found = await evaluateRows(sae, held, { encoder, seed });
    evaluations.add(sae, found, { id, hook, mismatch, steering: null, vocabulary: null });
    progress((i + 1) / params.saes.length, 'measuring', used);
  }
  const { files, count, digest, origin } = opened;
  const limit = files.rows - used;
  return evaluations.publish(context, {
    tokens: used,
    text: null,
    rows: { files: count, sent: files.rows, used, left_out: limit > 0 ? { limit } : {} },
    data_digest: digest,
    model: origin,
    hook: hooks.size === 1 ? [...hooks][0]! : null,
    device: 'cpu',
  });
}

async function onText(
  context: JobContext<Params>,
  { model: reference, corpus: source }: { model: NonNullable<Params['model']>; corpus: NonNullable<Params['corpus']> },
  encoder: Encoder,
): Outcome {
  const { params } = context;
  const { seed, split, packing } = params;
  const progress = progressOf(context);
  progress(0, 'loading the model', 0);
  const opened = await openModel(context, reference);
  const { model } = opened;
  try {
    const corpus = await openCorpus(context, source, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const { axes } = corpus;
    const read = () => corpus.read({ split, packing, length, limit: params.tokens, as: 'rows' });
    let reading = read();
    const spelling = params.spelling && openSpelling(model, params.spelling);
    const steering = params.steering && encodeSteering(model, params.steering);
    const evaluation = new HeldOutEvaluation(model, {
      encoder,
      sequences: () => {
        reading = read();
        return reading;
      },
      tokens: params.tokens,
      pass: sequencesPerPass(length),
      lossSequences: params.loss_sequences,
      axes: axes && { ...axes, states: (sequence) => axes.states(split === 'train' ? 'train' : 'held-out', sequence) },
      labelled: encodeLabelled(model, params.labelled),
      spelling,
      seed,
      reading: (tokens) => progress(0.3, 'reading activations', tokens),
    });
    const evaluations = new SaeEvaluations();
    for (const [i, id] of params.saes.entries()) {
      const { sae, hook, mismatch } = await openSae(context, id, opened, { allowMismatch: params.allow_mismatch });
      const found = await evaluation.evaluate(sae, hook);
      const { ids, tokens } = await evaluation.heldOut(hook);
      const offTarget = ids.filter(({ length }) => length > 1).slice(0, STEERED_SEQUENCES);
      const steered = steering && (await steerByLatent(model, hook, sae, steering, { encoder, seed, offTarget }));
      const vocabulary = spelling?.vocabulary ?? null;
      evaluations.add(sae, found, { id, hook, mismatch, steering: steered, vocabulary });
      progress(0.3 + (0.7 * (i + 1)) / params.saes.length, 'measuring', tokens.length);
    }
    const { tokens, hooks } = evaluation;
    return await evaluations.publish(context, {
      tokens,
      text: await reading.account(),
      rows: null,
      data_digest: corpus.digest,
      model: opened,
      hook: hooks.length === 1 ? hooks[0]! : null,
      device: opened.provider,
    });
  } finally {
    await model.release();
  }
}
