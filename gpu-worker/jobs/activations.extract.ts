/** Handler of `activations.extract`: a corpus through a model, the values at its hook points into safetensors shards. */
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Blob } from '../../shared/contracts/thing.ts';
import { safetensorsPrefix } from '../../shared/formats/safetensors.ts';
import { float16Bits } from '../../shared/formats/safetensors-values.ts';
import contract from '../../shared/jobs/activations.extract.ts';
import { activations } from '../lm/activations.ts';
import { openCorpus } from './corpus-input.ts';
import { handle } from './handler.ts';
import { openModel } from './model-input.ts';
import { reportManifest } from './report.ts';

/** Running statistics of the vectors at a hook, in float64. */
class Statistics {
  readonly sum: Float64Array;
  norms = 0;
  squares = 0;
  count = 0;
  constructor(width: number) {
    this.sum = new Float64Array(width);
  }
  add(values: Float32Array): void {
    const width = this.sum.length;
    for (let at = 0; at < values.length; at += width) {
      let square = 0;
      for (let j = 0; j < width; j++) {
        const value = values[at + j]!;
        this.sum[j]! += value;
        square += value * value;
      }
      this.norms += Math.sqrt(square);
      this.squares += square;
      this.count += 1;
    }
  }
  report() {
    const mean = this.sum.map((value) => value / this.count);
    return {
      mean_norm: this.norms / this.count,
      mean_square_norm: this.squares / this.count,
      mean_vector_norm: Math.hypot(...mean),
    };
  }
}

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  try {
    const corpus = await openCorpus(context, params.corpus, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const widths = Object.fromEntries(params.hooks.map((hook) => [hook, model.widthAt(hook)]));
    const flat = Object.entries(widths).find(([, width]) => width === null);
    if (flat) throw new SextantError('hook_unknown', `'${flat[0]}' has no vectors of fixed width to store`);
    const statistics = new Map(params.hooks.map((hook) => [hook, new Statistics(widths[hook]!)]));
    const bytesPerToken =
      params.hooks.reduce((sum, hook) => sum + widths[hook]!, 0) * (params.dtype === 'float16' ? 2 : 4);
    const shardTokens = Math.max(1, Math.min(params.shard_tokens, Math.floor(200e6 / bytesPerToken)));
    const blobs: Blob[] = [];
    const began = performance.now();
    let tokens = 0;
    let shard = new Shard(params.hooks, widths as Record<string, number>, params.dtype);
    const close = async () => {
      if (shard.tokens === 0) return;
      const name = `activations-${String(blobs.length).padStart(5, '0')}.safetensors`;
      const file = await shard.write(join(context.scratch, name));
      blobs.push(await context.artefact(name, 'application/octet-stream', { file }));
      shard = new Shard(params.hooks, widths as Record<string, number>, params.dtype);
    };
    for await (const block of activations(model, corpus.sequences('train', length), {
      hooks: params.hooks,
      batch: params.batch,
    })) {
      let from = 0;
      while (from < block.count && tokens < params.tokens) {
        const take = Math.min(block.count - from, params.tokens - tokens, shardTokens - shard.tokens);
        for (const hook of params.hooks) {
          const width = widths[hook]!;
          const part = block.values[hook]!.subarray(from * width, (from + take) * width);
          statistics.get(hook)!.add(part);
          shard.add(hook, part);
        }
        shard.tokens += take;
        from += take;
        tokens += take;
        if (shard.tokens === shardTokens) await close();
      }
      const rate = tokens / ((performance.now() - began) / 1000);
      context.progress({
        fraction: (0.98 * tokens) / params.tokens,
        stage: 'extracting',
        metrics: { tokens, tokens_per_s: rate, seconds_left: (params.tokens - tokens) / rate },
      });
      if (tokens >= params.tokens) break;
    }
    await close();
    const result = {
      tokens,
      shards: blobs.length,
      width: widths[params.hooks[0]!]!,
      data_digest: corpus.digest,
      hooks: Object.fromEntries(params.hooks.map((hook) => [hook, statistics.get(hook)!.report()])),
    };
    const report = reportManifest({
      method: contract.type,
      params,
      model: opened,
      seed: null,
      hook: params.hooks.length === 1 ? params.hooks[0]! : null,
      dataDigest: corpus.digest,
      blobs,
      body: result,
    });
    return {
      result,
      things: [report],
      metrics: { tokens_per_s: tokens / ((performance.now() - began) / 1000) },
      run: { device: opened.provider, dtype: params.dtype, seed: null, tolerance: null },
    };
  } finally {
    await model.release();
  }
});

/** One file in the making: a [tokens, width] tensor per hook. */
class Shard {
  tokens = 0;
  readonly #parts: Map<string, Uint8Array[]>;
  readonly #widths: Record<string, number>;
  readonly #half: boolean;
  constructor(hooks: readonly string[], widths: Record<string, number>, dtype: 'float32' | 'float16') {
    this.#parts = new Map(hooks.map((hook) => [hook, []]));
    this.#widths = widths;
    this.#half = dtype === 'float16';
  }
  add(hook: string, values: Float32Array): void {
    const stored = this.#half ? Uint16Array.from(values, float16Bits) : Float32Array.from(values);
    this.#parts.get(hook)!.push(new Uint8Array(stored.buffer));
  }
  async write(file: string): Promise<string> {
    const dtype = this.#half ? ('F16' as const) : ('F32' as const);
    const tensors = [...this.#parts.keys()].map((name) => ({ name, dtype, shape: [this.tokens, this.#widths[name]!] }));
    const out = createWriteStream(`${file}.writing`);
    out.write(safetensorsPrefix(tensors));
    for (const parts of this.#parts.values()) for (const part of parts) out.write(part);
    out.end();
    await finished(out);
    await rename(`${file}.writing`, file);
    return file;
  }
}
