/**
 * `npm run bench -- sae [--torch DIR] [--rounds N] [--sizes 1,2,3] [--variants a,b] [--only pipeline|files] [--out FILE]`:
 * training steps per variant, dense program and fast path, beside eager PyTorch in the same run; the peak memory at the
 * last size; then training from language models against its two stages, which `--only pipeline` runs by itself, and `--only files`
 * against reading activations from files. Medians of
 * interleaved rounds, with the fastest and the slowest.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type SaeConfiguration, saeConfiguration } from '../../gpu-worker/sae/training/configuration.ts';
import { DenseTrainer } from '../../gpu-worker/sae/training/dense-trainer.ts';
import { FastTrainer, fastPathFits } from '../../gpu-worker/sae/training/fast-trainer.ts';
import { initialise } from '../../gpu-worker/sae/training/initialise.ts';
import type { Trainer } from '../../gpu-worker/sae/training/trainer.ts';
import { stream } from '../../shared/math/random.ts';
import { SAE_VARIANT_NAMES } from '../../shared/models/sae-variant-facts.ts';
import type { SaeVariant } from '../../shared/models/sae-variants.ts';
import { median, rest } from './pairs.ts';
import { trainingFromFiles } from './sae/files.ts';
import { pipelines } from './sae/pipeline.ts';
import { Torch } from './torch/process.ts';

const SIZES = [
  [256, 4096, 32],
  [512, 8192, 51],
  [768, 12_288, 76],
] as const;
const ROWS = 2048;
/** Steps of the dense program per call; its state is copied once per call. */
const stepsPerCall = (P: number): number => (P > 8192 ? 1 : 3);
/** Rounds at sizes where one takes many seconds. */
const FEW_ROUNDS = 3;
const TORCH: readonly SaeVariant[] = ['relu', 'jumprelu', 'topk', 'abstopk', 'batch_topk', 'batch_abstopk'];

type Line = {
  variant: SaeVariant;
  d: number;
  P: number;
  k: number;
  way: string;
  rounds: number;
  /** Per step: the median over rounds, the fastest and the slowest. */
  ms: number;
  fastest: number;
  slowest: number;
  /** Median of the round's time over PyTorch's in the same round. */
  ratio: number | null;
};

const RESULTS = join(import.meta.dirname, 'results');

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      torch: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      sizes: { type: 'string', default: '1,2,3' },
      variants: { type: 'string', default: SAE_VARIANT_NAMES.join(',') },
      only: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const { only } = values;
  if (only !== undefined && only !== 'pipeline' && only !== 'files') {
    throw new Error(`--only takes 'pipeline' or 'files', not '${only}'`);
  }
  const threads = availableParallelism();
  const rounds = Number(values.rounds);
  const host = { cpu: cpus()[0]?.model, threads, node: process.version };
  const write = (name: string, result: object): void => {
    const file = values.out ?? join(RESULTS, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  };
  if (only === 'files') {
    write('sae-files.json', { host, ...(await trainingFromFiles(rounds, threads)) });
    return;
  }
  if (only) {
    write('sae-pipeline.json', { host, pipelines: await pipelines(rounds, threads) });
    return;
  }
  const torch =
    values.torch === undefined
      ? null
      : await Torch.start(join(import.meta.dirname, 'sae/steps.py'), values.torch, threads);
  const sizes = values.sizes.split(',').map((n) => SIZES[Number(n) - 1]!);
  const variants = values.variants.split(',') as SaeVariant[];
  const lines: Line[] = [];
  console.log(`${threads} threads, batch ${ROWS}, float32, Adam${torch ? `; PyTorch ${torch.version}` : ''}`);
  console.log(
    'variant             d      P   k   way       ms/step    fastest    slowest   activations/s   of PyTorch   loss difference',
  );
  for (const size of sizes) {
    const few = size[1] > 8192 ? Math.min(FEW_ROUNDS, rounds) : rounds;
    for (const variant of variants) {
      lines.push(...(await compare(variant, size, few, threads, torch)));
    }
  }
  torch?.stop();
  const [d, P, k] = SIZES.at(-1)!;
  const probe = join(import.meta.dirname, 'sae', 'memory.ts');
  const bytes = Number(execFileSync(process.execPath, [probe, ...[d, P, k, ROWS].map(String)], { encoding: 'utf8' }));
  console.log(`peak memory of the fast path at (${d}, ${P}), batch ${ROWS}: ${(bytes / 1e9).toFixed(2)} GB`);
  const streamed = await pipelines(Math.min(FEW_ROUNDS, rounds), threads);
  write('sae.json', {
    host: { ...host, torch: torch?.version ?? null },
    batch: ROWS,
    lines,
    peak_bytes: bytes,
    pipelines: streamed,
  });
}

async function compare(
  variant: SaeVariant,
  [d, P, k]: readonly [number, number, number],
  rounds: number,
  threads: number,
  torch: Torch | null,
): Promise<Line[]> {
  const complete: SaeConfiguration = saeConfiguration({
    variant,
    inputs: d,
    width: P,
    k,
    clipNorm: null,
    threshold: 0.1,
    bandwidth: 0.1,
  });
  const start = initialise(complete, 0);
  const steps = stepsPerCall(P);
  const x = stream(0, 'bench/x').normal32(ROWS * d, { deviation: 1 / Math.sqrt(d) });
  const many = new Float32Array(steps * x.length);
  for (let i = 0; i < steps; i++) {
    many.set(x, i * x.length);
  }
  const rates = new Array<number>(steps).fill(1e-4);
  const ways: Record<string, Trainer> = { dense: await DenseTrainer.create(complete, ROWS, start, { threads }) };
  if (fastPathFits(complete)) {
    ways.fast = new FastTrainer(complete, ROWS, start, { threads });
  }
  const compared = torch && TORCH.includes(variant) ? torch : null;
  const times: Record<string, number[]> = { torch: [], dense: [], fast: [] };
  const losses: Record<string, number> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [way, trainer] of Object.entries(ways)) {
      await rest();
      const began = performance.now();
      const reports = await trainer.run(many, rates);
      // The first round warms up.
      if (round > 0) {
        times[way]!.push((performance.now() - began) / steps);
      }
      losses[way] = reports.at(-1)!.loss;
    }
    if (compared) {
      await rest();
      const seconds = await compared.measure(`${variant} ${d} ${P} ${k} ${ROWS} ${steps}`);
      if (round > 0) {
        times.torch!.push((1000 * seconds) / steps);
      }
    }
  }
  await Promise.all(Object.values(ways).map((trainer) => trainer.close()));
  const difference = losses.fast === undefined ? null : Math.abs(losses.fast / losses.dense! - 1);
  const lines = Object.entries(times)
    .filter(([, list]) => list.length > 0)
    .map(([way, list]): Line => {
      const ms = median(list);
      const [fastest, slowest] = [Math.min(...list), Math.max(...list)];
      const ratio = compared ? median(list.map((own, i) => own / times.torch![i]!)) : null;
      return { variant, d, P, k, way, rounds: list.length, ms, fastest, slowest, ratio };
    });
  for (const { way, ms, fastest, slowest, ratio } of lines) {
    const cells = [
      variant.padEnd(17),
      String(d).padStart(4),
      String(P).padStart(6),
      String(k).padStart(3),
      ` ${way.padEnd(6)}`,
      ...[ms, fastest, slowest].map((time) => time.toFixed(1).padStart(9)),
      Math.round((1000 * ROWS) / ms)
        .toString()
        .padStart(14),
      (ratio === null ? '-' : ratio.toFixed(2)).padStart(12),
      way === 'fast' && difference !== null ? difference.toExponential(1).padStart(16) : '',
    ];
    console.log(cells.join('  '));
  }
  return lines;
}
