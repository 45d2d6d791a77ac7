/**
 * Handler of `sae.train`: a sweep of autoencoders over one stream of activations. Its state is saved in the worker's cache
 * every minute, and published for other workers now and then, so that the next attempt goes on from there with the same
 * batches and gives the same weights. States above `PUBLISHED_LIMIT` (12 bytes per parameter over all autoencoders) stay in
 * the cache: there only the worker itself goes on, and any other starts from the beginning.
 */
import type { Manifest } from '../../shared/contracts/manifest.ts';
import contract from '../../shared/jobs/sae.train.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import {
  heldOutActivations,
  manifestOfSwept,
  measureSweep,
  statedProgress,
  statedSwept,
  sweepMember,
  sweepWarnings,
  trainingSource,
  trainSweep,
} from '../sae/index.ts';
import { openSweep } from './checkpoints/published-sweep.ts';
import { handle } from './handler.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { publishSae } from './outputs/sae-artefact.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { hook, batch, steps, seed } = params;
  context.progress({ fraction: 0, stage: 'loading the model', metrics: {} });
  const opened = await openModel(context, params.model);
  const { model, provider } = opened;
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const pass = sequencesPerPass(length);
    const sequences = () => corpus.sequences('train', length);
    const source = trainingSource({ model, hook, sequences, length, pass, batch, seed, normCap: params.norm_cap });
    const members = params.saes.map((spec) => sweepMember(spec, source.width, params));
    const store = await openSweep(context, { model: opened.digest, corpus: corpus.digest, device: provider });
    const swept = await trainSweep({
      source,
      members,
      steps,
      batch,
      threads: configuration.threads,
      provider,
      scaling: params.input_scaling,
      centre: params.decoder_bias,
      files: store,
      progress: (now) => context.progress(statedProgress(now, steps)),
    });

    context.progress({ fraction: 0.96, stage: 'evaluating', metrics: {} });
    const text = corpus.sequences('held-out', length);
    const held = await heldOutActivations(model, hook, text, { tokens: params.evaluation_tokens, pass });
    const published: Manifest[] = [];
    const saes = [];
    const asked = { threads: configuration.threads, dashboards: params.feature_dashboards };
    for await (const found of measureSweep(model, members, swept, held, asked)) {
      const { index, sae, dashboards } = found;
      const of = { index, model: opened, hook, scale: swept.scale, dataDigest: corpus.digest, dashboards };
      const manifest = await publishSae(context, sae, { ...of, ...manifestOfSwept(found, params) });
      published.push(manifest);
      saes.push(statedSwept(await manifestId(manifest), found));
    }
    await store.remove();
    return {
      result: {
        saes,
        tokens: swept.tokens,
        tokens_per_s: swept.tokensPerSecond,
        data_digest: corpus.digest,
        input_scale: swept.scale,
        first_step: swept.firstStep,
        warnings: sweepWarnings(members, source.width, swept),
      },
      published,
      metrics: { tokens_per_s: swept.tokensPerSecond, steps_resumed: swept.firstStep },
      run: { device: store.devices.join(' + '), dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await model.release();
  }
});
