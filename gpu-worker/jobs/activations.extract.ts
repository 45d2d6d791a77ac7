/**
 * Handler of `activations.extract`: a corpus through a model, the values at its hook points into safetensors shards.
 * After a shard the attempt saves where it stands; the next attempt, on any worker, goes on from there with the same
 * batches, so that its shards are those of an uninterrupted run.
 */
import contract, { SHARD_BYTES } from '../../shared/jobs/activations.extract.ts';
import { extractActivations, hookWidths, passagesOfPart } from '../lm/index.ts';
import { openExtraction } from './checkpoints/extraction-checkpoint.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { reportManifest } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params } = context;
  const { dtype } = params;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const widths = hookWidths(model, params.hooks);
    const values = Object.values(widths).reduce((sum, width) => sum + width, 0);
    const room = Math.floor(SHARD_BYTES / (values * (dtype === 'float16' ? 2 : 4)));
    const of = { model: opened.digest, corpus: corpus.digest, device: opened.provider };
    const extraction = await openExtraction(context, widths, of);
    const { state } = extraction;
    const resumed = state.tokens;
    const use = { split: params.split, packing: params.packing, length, limit: params.tokens, as: 'rows' } as const;
    const { part } = params;
    const within = part && (await passagesOfPart(model, corpus.read(use), params.batch, part));
    const reading = corpus.read({ ...use, ...(within && { within }) }, state.position);
    const rate = await extractActivations(model, reading, state, {
      widths,
      dtype,
      tokens: params.tokens,
      shardTokens: Math.max(1, Math.min(params.shard_tokens, room)),
      batch: params.batch,
      store: (shard) => extraction.add(shard),
      progress: ({ tokens, tokensPerSecond, secondsLeft }) =>
        context.progress({
          fraction: Math.min(0.98, (0.98 * tokens * (part?.of ?? 1)) / params.tokens),
          stage: 'extracting',
          metrics: { tokens, tokens_per_s: tokensPerSecond, seconds_left: secondsLeft },
        }),
    });
    const [first = ''] = params.hooks;
    const result = {
      tokens: state.tokens,
      text: await reading.account(),
      shards: state.shards.length,
      width: widths[first] ?? 0,
      data_digest: corpus.digest,
      hooks: Object.fromEntries([...state.statistics].map(([hook, statistics]) => [hook, statistics.report()])),
    };
    const report = reportManifest({
      method: contract.type,
      params,
      model: opened,
      seed: null,
      hook: params.hooks.length === 1 ? first : null,
      dataDigest: corpus.digest,
      blobs: state.shards,
      body: result,
    });
    return {
      result,
      published: [report],
      metrics: { tokens_per_s: rate, tokens_resumed: resumed },
      run: { device: state.devices.join(' + '), dtype, seed: null, tolerance: null },
    };
  } finally {
    await model.release();
  }
});
