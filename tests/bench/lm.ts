/**
 * `npm run bench -- lm [--torch DIR] [--pairs 20] [--model stories|generated]`: prefill, decoding, taps and steering,
 * beside transformers (eager, float32) in the same run where DIR holds its packages.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateInBatches } from '../../gpu-worker/lm/generation/generate-batches.ts';
import { GenerationThreads } from '../../gpu-worker/lm/generation/generation-threads.ts';
import { type LanguageModel, loadModel } from '../../gpu-worker/lm/inference/model.ts';
import type { ForwardRequest } from '../../gpu-worker/lm/inference/pass.ts';
import { data, hasData } from '../support/guide.ts';
import { generatedLlama } from './lm/generated.ts';
import type { Task } from './lm/measured-process.ts';
import { startTransformers } from './lm/transformers.ts';
import { interleaved, ratios, type Summary, show, summary, timed } from './pairs.ts';

const THREADS = 2;
type Line = { model: string; what: string; ours: Summary; unit: string; against: string; ratio: Summary | null };

const rows = (model: LanguageModel, batch: number, seq: number): number[][] =>
  Array.from({ length: batch }, (_, r) =>
    Array.from({ length: seq }, (_, i) => (r * 31 + i * 17 + 5) % model.architecture.vocabulary),
  );

async function measure(name: string, folder: string, pairs: number, torch: string | undefined): Promise<Line[]> {
  const model = await loadModel(folder, { threads: THREADS });
  const other = torch === undefined ? null : await startTransformers(torch, folder, THREADS);
  const lines: Line[] = [];
  const compare = async (what: string, tokens: number, ours: () => Promise<unknown>, task: Task) => {
    const times = await interleaved(pairs, {
      ours: () => timed(ours),
      ...(other && { theirs: () => other.time(task) }),
    });
    const line: Line = {
      model: name,
      what,
      ours: summary(times.ours!.map((ms) => (tokens / ms) * 1000)),
      unit: 'tokens/s',
      against: 'transformers',
      ratio: times.theirs ? summary(ratios(times.theirs, times.ours!)) : null,
    };
    lines.push(line);
    print(line);
  };
  for (const [batch, seq] of [
    [8, 128],
    [1, 512],
  ] as const) {
    await compare(`prefill ${batch} x ${seq}`, batch * seq, () => model.forward({ ids: rows(model, batch, seq) }), {
      op: 'prefill',
      batch,
      seq,
    });
  }
  const tokens = 48;
  for (const batch of [1, 8]) {
    const options = { maxTokens: tokens, stopTokens: [] };
    const generations = GenerationThreads.for(model, batch, THREADS);
    await compare(
      `decode ${batch} stream${batch > 1 ? 's' : ''}`,
      batch * tokens,
      () => generateInBatches(model, rows(model, batch, 16), options, { threads: generations }),
      { op: 'decode', batch, seq: 16, tokens },
    );
    await generations?.close();
  }
  lines.push(...(await measureHooks(name, model, pairs)));
  other?.stop();
  await model.release();
  return lines;
}

/** What taps and steering cost, against the same pass without them. */
async function measureHooks(name: string, model: LanguageModel, pairs: number): Promise<Line[]> {
  const ids = rows(model, 8, 128);
  const { layers, width } = model.architecture;
  const middle = `resid_post.${Math.floor(layers / 2)}`;
  const vector = new Float32Array(width).fill(0.01);
  const variants: Record<string, Omit<ForwardRequest, 'ids'>> = {
    plain: {},
    'tap one layer': { taps: [middle] },
    'tap all layers': { taps: Array.from({ length: layers }, (_, layer) => `resid_post.${layer}`) },
    steer: { interventions: [{ kind: 'add', hook: middle, vector }] },
  };
  const times: Record<string, number[]> = {};
  // Two at a time: more programs than that would each pack the weights again.
  for (const what of Object.keys(variants).slice(1)) {
    const both = await interleaved(pairs, {
      plain: () => timed(() => model.forward({ ids })),
      [what]: () => timed(() => model.forward({ ids, ...variants[what]! })),
    });
    times[what] = ratios(both[what]!, both.plain!);
  }
  return Object.entries(times).map(([what, values]) => {
    const line = {
      model: name,
      what,
      ours: summary(values.map((ratio) => (ratio - 1) * 100)),
      unit: '% more time',
      against: 'the plain pass',
      ratio: null,
    };
    print(line);
    return line;
  });
}

function print({ model, what, ours, unit, ratio }: Line): void {
  const beside = ratio ? `   ${show(ratio, 2)} x transformers` : '';
  console.log(`${model.padEnd(18)} ${what.padEnd(18)} ${show(ours, unit === 'tokens/s' ? 0 : 1)} ${unit}${beside}`);
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: { torch: { type: 'string' }, pairs: { type: 'string', default: '20' }, model: { type: 'string' } },
  });
  const models: Record<string, () => string> = {
    ...(hasData && { stories: () => data('models', 'bitstories3M-hf') }),
    generated: generatedLlama,
  };
  const lines: Line[] = [];
  for (const [name, folder] of Object.entries(models)) {
    if (values.model === undefined || values.model === name) {
      lines.push(...(await measure(name, folder(), Number(values.pairs), values.torch)));
    }
  }
  const result = { cpu: cpus()[0]!.model, threads: THREADS, pairs: Number(values.pairs), dtype: 'float32', lines };
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'lm.json'), `${JSON.stringify(result, null, 2)}\n`);
}
