/** Handler of `sae.evaluate`: sign-safe measures, scores against known axes, and the model's loss with the SAE spliced in. */
import contract from '../../shared/jobs/sae.evaluate.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { steerByLatent } from '../directions/latent-steering.ts';
import { densitySvg, Encoder, evaluatedSae, HeldOutEvaluation } from '../sae/index.ts';
import { handle } from './handler.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { encodeLabelled, encodeSteering, openSpelling } from './inputs/sae-tasks.ts';
import { publishReport } from './outputs/report.ts';
import { openSae } from './outputs/sae-artefact.ts';

/** Held-out sequences on which steering should change little. */
const STEERED_SEQUENCES = 32;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { seed } = params;
  const progress = (fraction: number, stage: string, tokens: number) =>
    context.progress({ fraction, stage, metrics: { tokens } });
  progress(0, 'loading the model', 0);
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const encoder = new Encoder({ threads: configuration.threads, spinning: false });
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const { axes } = corpus;
    const { split, packing } = params;
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
    const saes = [];
    const documents = [];
    const plots = [];
    for (const [i, id] of params.saes.entries()) {
      const { sae, hook, mismatch } = await openSae(context, id, opened, { allowMismatch: params.allow_mismatch });
      const found = await evaluation.evaluate(sae, hook);
      const { ids, tokens } = await evaluation.heldOut(hook);
      const offTarget = ids.filter(({ length }) => length > 1).slice(0, STEERED_SEQUENCES);
      const steered = steering && (await steerByLatent(model, hook, sae, steering, { encoder, seed, offTarget }));
      const vocabulary = spelling?.vocabulary ?? null;
      const entry = evaluatedSae(sae, found, { id, hook, mismatch, steering: steered, vocabulary });
      saes.push(entry);
      documents.push({ ...entry, density_histogram: found.densities });
      const title = `${sae.variant}, ${sae.parameters.width} latents, ${hook}`;
      plots.push({ name: `density-${i}`, svg: densitySvg(title, found.densities) });
      progress(0.3 + (0.7 * (i + 1)) / params.saes.length, 'measuring', tokens.length);
    }
    const { tokens, hooks } = evaluation;
    const text = await reading.account();
    const body = { tokens, text, data_digest: corpus.digest, saes: documents };
    const manifest = await publishReport(
      context,
      { kind: 'sae_evaluation', body, plots },
      {
        method: contract.type,
        params,
        model: opened,
        seed,
        hook: hooks.length === 1 ? hooks[0]! : null,
        dataDigest: corpus.digest,
        body: {
          saes: saes.map(({ id, fvu, l0 }) => ({ id, fvu, l0 })),
          mismatch: saes.some(({ mismatch }) => mismatch.length > 0),
        },
      },
    );
    return {
      result: { saes, tokens, text, data_digest: corpus.digest, report: await manifestId(manifest) },
      published: [manifest],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await encoder.release();
    await model.release();
  }
});
