/**
 * `npm run bench -- engine [--torch DIR] [--threads N] [--rounds N] [--only STEP]`: training steps against this
 * machine's own rate of matrix products, and against PyTorch where it is installed in DIR. Everything that is compared
 * is measured in turns within one run. Leaves `results/engine.json`.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { matmulRates, Timed } from './engine/measure.ts';
import { convolutional, type Model, sae, transformer } from './engine/models.ts';
import { median, ratios, rest, type Summary, show, summary } from './pairs.ts';
import { Torch } from './torch/process.ts';

const MODELS: readonly { key: string; model: () => Model; chunk: number; target: string }[] = [
  { key: 'sae_small', model: () => sae(1024, 256, 2048, 32), chunk: 10, target: '80 %, 0.85' },
  { key: 'sae_large', model: () => sae(2048, 512, 4096, 32), chunk: 5, target: '80 %, 0.85' },
  {
    key: 'transformer',
    model: () => transformer({ layers: 4, width: 256, heads: 8, batch: 16, length: 128 }, 4096),
    chunk: 3,
    target: '65 %, 1.00',
  },
  { key: 'convolutional', model: () => convolutional(128), chunk: 10, target: '-' },
];
const CALLS = [1, 5, 20, 100] as const;

const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(1).padStart(9);

type Line = {
  step: string;
  ms: Summary;
  gigaflops: Summary;
  matmul_gigaflops: Summary;
  /** Achieved rate in per cent of the matrix products' rate. */
  share: Summary;
  /** Our time as a multiple of PyTorch's. */
  of_torch: Summary | null;
  target: string;
};

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      torch: { type: 'string' },
      threads: { type: 'string' },
      rounds: { type: 'string', default: '7' },
      only: { type: 'string' },
    },
  });
  const threads = Number(values.threads ?? availableParallelism());
  const rounds = Number(values.rounds);
  const torch =
    values.torch === undefined
      ? undefined
      : await Torch.start(join(import.meta.dirname, 'engine/steps.py'), values.torch, threads);
  const matmul = await matmulRates(threads);
  console.log(
    `${threads} threads, ${rounds} rounds in turns, float32, Adam${torch ? `; PyTorch ${torch.version}` : ''}`,
  );
  console.log('medians of the rounds, 95 % intervals in brackets; what is compared was measured in one round');
  const lines: Line[] = [];
  for (const { key, model, chunk, target } of MODELS) {
    if (values.only !== undefined && values.only !== key) {
      continue;
    }
    const timed = await Timed.create(model(), threads, chunk);
    const [ours, theirs, rates]: [number[], number[], number[]] = [[], [], []];
    await timed.measure();
    await torch?.measure(`${key} ${chunk}`);
    for (let round = 0; round < rounds; round++) {
      await rest();
      // Before and after: a processor that has rested runs faster at first.
      const before = await matmul.measure();
      ours.push(await timed.measure());
      rates.push((before + (await matmul.measure())) / 2);
      if (!torch) {
        continue;
      }
      await rest();
      theirs.push((await torch.measure(`${key} ${chunk}`)) / chunk);
    }
    const { flop, name } = timed.model;
    const line: Line = {
      step: name,
      ms: summary(ours.map((seconds) => 1000 * seconds)),
      gigaflops: summary(ours.map((seconds) => flop / seconds / 1e9)),
      matmul_gigaflops: summary(rates.map((rate) => rate / 1e9)),
      share: summary(ours.map((seconds, i) => (100 * flop) / seconds / rates[i]!)),
      of_torch: torch ? summary(ratios(ours, theirs)) : null,
      target,
    };
    lines.push(line);
    print(line);
    await timed.release();
  }
  torch?.stop();
  await matmul.release();
  if (values.only !== undefined) {
    return;
  }
  const host = { cpu: cpus()[0]?.model, threads, rounds, node: process.version, torch: torch?.version ?? null };
  const results = { host, dtype: 'float32', lines, ms_by_steps_per_call: await crossing(threads) };
  writeFileSync(join(import.meta.dirname, 'results', 'engine.json'), `${JSON.stringify(results, null, 1)}\n`);
}

function print({ step, ms, gigaflops, matmul_gigaflops, share, of_torch, target }: Line): void {
  console.log(step);
  console.log(`  ${show(ms, 1)} ms/step, ${show(gigaflops, 1)} GFLOP/s; matrix products ${show(matmul_gigaflops, 1)}`);
  const compared = of_torch ? `, ${show(of_torch, 2)} of PyTorch's time` : '';
  console.log(`  ${show(share, 0)} % of the matrix rate${compared} (targets ${target})`);
}

/** The same small steps in calls of different lengths: what it costs to come back to JavaScript. */
async function crossing(threads: number): Promise<Record<string, number>> {
  const model = sae(256, 128, 1024, 16);
  console.log(`\nms/step by steps per Loop call: ${model.name}`);
  const timed = await Promise.all(CALLS.map((steps) => Timed.create(model, threads, steps)));
  const times = CALLS.map((): number[] => []);
  for (const item of timed) {
    await item.measure();
  }
  for (let round = 0; round < 5; round++) {
    for (const [i, item] of timed.entries()) {
      const repeats = Math.ceil(20 / CALLS[i]!);
      for (let again = 0; again < repeats; again++) {
        times[i]!.push(await item.measure());
      }
    }
  }
  console.log(CALLS.map((steps) => `${steps} step${steps > 1 ? 's' : ''}`.padStart(12)).join(''));
  console.log(times.map((values) => milliseconds(median(values)).padStart(12)).join(''));
  for (const item of timed) {
    await item.release();
  }
  return Object.fromEntries(CALLS.map((steps, i) => [steps, 1000 * median(times[i]!)]));
}
