/**
 * `npm run bench -- engine [--torch DIR] [--threads N] [--rounds N] [--only STEP]`: training steps against this machine's own rate of
 * matrix products, and against PyTorch where it is installed in DIR. Everything that is compared is measured in turns
 * within one run; medians are shown.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { matmulRates, median, Timed } from './engine/measure.ts';
import { convolutional, type Model, sae, transformer } from './engine/models.ts';
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

const gigaflops = (value: number): string => (value / 1e9).toFixed(1).padStart(8);
const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(1).padStart(9);

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
  console.log('ms/step    GFLOP/s   share   PyTorch ms   ratio   target       step');
  for (const { key, model, chunk, target } of MODELS) {
    if (values.only !== undefined && values.only !== key) continue;
    const timed = await Timed.create(model(), threads, chunk);
    const [ours, theirs, rates]: [number[], number[], number[]] = [[], [], []];
    await timed.measure();
    await torch?.measure(`${key} ${chunk}`);
    for (let round = 0; round < rounds; round++) {
      rates.push(await matmul.measure());
      ours.push(await timed.measure());
      if (torch) theirs.push((await torch.measure(`${key} ${chunk}`)) / chunk);
    }
    const [step, other, rate] = [median(ours), median(theirs), median(rates)];
    const achieved = timed.model.flop / step;
    const share = `${((100 * achieved) / rate).toFixed(0)} %`.padStart(6);
    const compared = torch
      ? `${milliseconds(other)}   ${(step / other).toFixed(2).padStart(7)}`
      : '        -         -';
    console.log(
      `${milliseconds(step)} ${gigaflops(achieved)}  ${share}  ${compared}   ${target.padEnd(11)}  ${timed.model.name}`,
    );
    console.log(`${' '.repeat(9)} ${gigaflops(rate)}   matrix products in the same rounds`);
    await timed.release();
  }
  torch?.stop();
  await matmul.release();
  if (values.only === undefined) await crossing(threads);
}

/** The same small steps in calls of different lengths: what it costs to come back to JavaScript. */
async function crossing(threads: number): Promise<void> {
  const model = sae(256, 128, 1024, 16);
  console.log(`\nms/step by steps per Loop call: ${model.name}`);
  const timed = await Promise.all(CALLS.map((steps) => Timed.create(model, threads, steps)));
  const times = CALLS.map((): number[] => []);
  for (const item of timed) await item.measure();
  for (let round = 0; round < 5; round++) {
    for (const [i, item] of timed.entries()) {
      const repeats = Math.ceil(20 / CALLS[i]!);
      for (let again = 0; again < repeats; again++) times[i]!.push(await item.measure());
    }
  }
  console.log(CALLS.map((steps) => `${steps} step${steps > 1 ? 's' : ''}`.padStart(12)).join(''));
  console.log(times.map((values) => milliseconds(median(values)).padStart(12)).join(''));
  for (const item of timed) await item.release();
}
