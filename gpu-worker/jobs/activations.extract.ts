/**
 * Handler of `activations.extract`: a corpus through a model, the values at its hook points into safetensors shards.
 * After a shard the attempt saves where it stands; the next attempt, on any worker, goes on from there with the same
 * batches, so that its shards are those of an uninterrupted run.
 */
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import contract, { SHARD_BYTES } from '../../shared/jobs/activations.extract.ts';
import { activations } from '../lm/index.ts';
import { BackgroundSaves } from '../study/index.ts';
import { type ExtractionState, extractionCheckpoint, resumedExtraction } from './checkpoints/extraction-checkpoint.ts';
import { handle } from './handler.ts';
import { openCorpus } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { ActivationShard } from './outputs/activation-shard.ts';
import { ActivationStatistics } from './outputs/activation-statistics.ts';
import { reportManifest } from './outputs/report.ts';

const MEDIA_TYPE = 'application/octet-stream';

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const widths: Record<string, number> = {};
    for (const hook of params.hooks) {
      const width = model.widthAt(hook);
      if (width === null) {
        throw new SextantError('hook_unknown', `'${hook}' has no vectors of fixed width to store`);
      }
      widths[hook] = width;
    }
    const bytesPerToken =
      Object.values(widths).reduce((sum, width) => sum + width, 0) * (params.dtype === 'float16' ? 2 : 4);
    const shardTokens = Math.max(1, Math.min(params.shard_tokens, Math.floor(SHARD_BYTES / bytesPerToken)));
    const of = { model: opened.digest, corpus: corpus.digest };
    const state: ExtractionState = (await resumedExtraction(context.checkpoint.last, { ...of, widths })) ?? {
      ...of,
      tokens: 0,
      shards: [],
      position: undefined,
      done: 0,
      devices: [],
      statistics: new Map(Object.entries(widths).map(([hook, width]) => [hook, new ActivationStatistics(width)])),
    };
    if (!state.devices.includes(opened.provider)) {
      state.devices.push(opened.provider);
    }
    const resumed = state.tokens;
    for (const blob of state.shards) {
      await context.artefact(blob.name, MEDIA_TYPE, blob);
    }
    const saves = new BackgroundSaves(context.checkpoint);
    const began = performance.now();
    const rate = () => (state.tokens + shard.tokens - resumed) / ((performance.now() - began) / 1000);
    let shard = new ActivationShard(widths, params.dtype);
    const close = async () => {
      if (shard.tokens === 0) {
        return;
      }
      const name = `activations-${String(state.shards.length).padStart(5, '0')}.safetensors`;
      const file = await shard.write(join(context.scratch, name));
      state.shards.push(await context.artefact(name, MEDIA_TYPE, { file }));
      state.tokens += shard.tokens;
      shard = new ActivationShard(widths, params.dtype);
      if (!saves.due) {
        return;
      }
      const checkpoint = extractionCheckpoint(state);
      void saves.begin(checkpoint.state, checkpoint.parts);
    };
    const reading = corpus.sequences('train', length, state.position);
    if (state.tokens < params.tokens) {
      for await (const block of activations(model, reading, { hooks: params.hooks, batch: params.batch })) {
        while (state.done < block.count && state.tokens + shard.tokens < params.tokens) {
          const wanted = params.tokens - state.tokens - shard.tokens;
          const take = Math.min(block.count - state.done, wanted, shardTokens - shard.tokens);
          for (const [hook, width] of Object.entries(widths)) {
            const part = block.values[hook]!.subarray(state.done * width, (state.done + take) * width);
            state.statistics.get(hook)!.add(part);
            shard.add(hook, part);
          }
          shard.tokens += take;
          state.done += take;
          if (shard.tokens === shardTokens) {
            await close();
          }
        }
        const tokens = state.tokens + shard.tokens;
        context.progress({
          fraction: (0.98 * tokens) / params.tokens,
          stage: 'extracting',
          metrics: { tokens, tokens_per_s: rate(), seconds_left: (params.tokens - tokens) / rate() },
        });
        if (tokens >= params.tokens) {
          break;
        }
        // The next block begins where the reading stands now, since blocks are read one by one.
        state.position = reading.position;
        state.done = 0;
      }
    }
    const metrics = { tokens_per_s: rate(), tokens_resumed: resumed };
    await close();
    const result = {
      tokens: state.tokens,
      shards: state.shards.length,
      width: widths[params.hooks[0]!]!,
      data_digest: corpus.digest,
      hooks: Object.fromEntries(params.hooks.map((hook) => [hook, state.statistics.get(hook)!.report()])),
    };
    const report = reportManifest({
      method: contract.type,
      params,
      model: opened,
      seed: null,
      hook: params.hooks.length === 1 ? params.hooks[0]! : null,
      dataDigest: corpus.digest,
      blobs: state.shards,
      body: result,
    });
    return {
      result,
      published: [report],
      metrics,
      run: { device: state.devices.join(' + '), dtype: params.dtype, seed: null, tolerance: null },
    };
  } finally {
    await model.release();
  }
});
