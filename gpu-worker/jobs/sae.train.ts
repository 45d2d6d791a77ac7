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
  manifestOfSwept,
  measureSweep,
  statedProgress,
  statedSwept,
  sweepMember,
  sweepWarnings,
  trainSweep,
} from '../sae/index.ts';
import { openSweep } from './checkpoints/published-sweep.ts';
import { handle } from './handler.ts';
import { openTrainingRows } from './inputs/training-rows.ts';
import { publishSae } from './outputs/sae-artefact.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { batch, steps, seed } = params;
  context.progress({ fraction: 0, stage: params.model ? 'loading the model' : 'opening the files', metrics: {} });
  const read = await openTrainingRows(context);
  const { source, origin, provider } = read;
  try {
    const members = params.saes.map((spec) => sweepMember(spec, source.width, params));
    const store = await openSweep(context, { model: origin.digest, corpus: read.digest, device: provider });
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
    const held = await read.heldOut();
    const published: Manifest[] = [];
    const saes = [];
    const asked = { threads: configuration.threads, dashboards: params.feature_dashboards };
    for await (const found of measureSweep(read.model, members, swept, held, asked)) {
      const { index, sae, dashboards } = found;
      const of = { index, model: origin, hook: origin.hook, scale: swept.scale, dataDigest: read.digest, dashboards };
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
        text: await read.text(),
        held_out_text: await read.heldOutText(),
        rows: read.rows,
        data_digest: read.digest,
        input_scale: swept.scale,
        first_step: swept.firstStep,
        warnings: sweepWarnings(members, source.width, swept),
      },
      published,
      metrics: { tokens_per_s: swept.tokensPerSecond, steps_resumed: swept.firstStep },
      run: { device: store.devices.join(' + '), dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await read.release();
  }
});
