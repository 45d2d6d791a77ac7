/**
 * `npm run bench -- block-sparse [--torch DIR] [--threads N] [--rounds N] [--rows N,N]`: a training step of a 1024 x 1024 layer as a
 * sum of Kronecker products against the dense one, its memory, and inference with live tiles against dense and against
 * PyTorch's BSR where that is installed in DIR. All in turns. Leaves `results/block-sparse.json`.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PRODUCT_WAYS } from '../../gpu-worker/block-sparse/inference/index.ts';
import { denseInference, denseStep, kroneckerStep, sparseInference, type Timed } from './block-sparse/layers.ts';
import { interleaved, ratios, type Summary, show, summary, timed } from './pairs.ts';
import { Torch } from './torch/process.ts';

/** Ranks below half the tile's side, and some beyond, where the gain is expected to end. */
const SHAPES: readonly (readonly [tile: number, rank: number])[] = [
  ...[1, 2, 3].map((rank) => [8, rank] as const),
  ...[1, 2, 3, 4].flatMap((rank) => [[16, rank] as const, [32, rank] as const]),
  [8, 4],
  [8, 6],
  [16, 7],
  [16, 8],
  [32, 8],
  [32, 16],
];
/** Of many rows, which take long: the shapes of the prototype's figures, and two beyond. */
const MANY_ROWS: typeof SHAPES = [
  [8, 1],
  [8, 2],
  [8, 3],
  [16, 4],
  [32, 4],
  [16, 7],
  [32, 8],
];
const [MANY, MEMORY_ROWS, INFERENCE_ROWS] = [1000, 8192, 256] as const;

const time = async (work: Timed) => timed(() => work.run());

/** One measurement of peak memory: a process of its own runs the step a few times, or none. */
async function peak(which: string): Promise<void> {
  const [kind, rows, tile, rank] = which.split(',');
  if (kind !== 'idle') {
    const work =
      kind === 'dense'
        ? await denseStep(Number(rows), 1)
        : await kroneckerStep(Number(rows), Number(tile), Number(rank), 1);
    for (let i = 0; i < 3; i++) {
      await work.run();
    }
  }
  console.log(process.resourceUsage().maxRSS);
}
const megabytes = (which: string): number =>
  Number(
    execFileSync(process.execPath, [join(import.meta.dirname, 'index.ts'), 'block-sparse', '--peak', which], {
      encoding: 'utf8',
    }),
  ) / 1024;

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      torch: { type: 'string' },
      threads: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '7' },
      rows: { type: 'string', default: '256,8192' },
      peak: { type: 'string' },
    },
  });
  if (values.peak) {
    return peak(values.peak);
  }
  const [threads, rounds] = [Number(values.threads), Number(values.rounds)];
  const results: Record<string, unknown> = {
    device: `${cpus()[0]?.model ?? 'unknown'}, ${threads} of ${cpus().length} threads`,
    rounds,
  };
  const keep = (part: string, figures: unknown): void => {
    results[part] = figures;
    writeFileSync(
      join(import.meta.dirname, 'results/block-sparse.json'),
      `${JSON.stringify({ ...results, seconds: Math.round(performance.now() / 1000) }, null, 1)}\n`,
    );
  };
  keep('inference', await inferenceFigures(values.torch, threads, rounds));
  keep('training', await trainingFigures(values.rows.split(',').map(Number), threads, rounds));
  keep('memory', memoryFigures());
}

async function trainingFigures(allRows: readonly number[], threads: number, rounds: number) {
  const lines: { rows: number; tile: number; rank: number; of_dense: Summary; dense_ms: number }[] = [];
  for (const rows of allRows) {
    const dense = await denseStep(rows, threads);
    for (const [tile, rank] of rows > MANY ? MANY_ROWS : SHAPES) {
      const layer = await kroneckerStep(rows, tile, rank, threads);
      const times = await interleaved(rows > MANY ? Math.min(rounds, 5) : 2 * rounds, {
        dense: () => time(dense),
        layer: () => time(layer),
      });
      await layer.release();
      const of_dense = summary(ratios(times.layer!, times.dense!));
      lines.push({ rows, tile, rank, of_dense, dense_ms: summary(times.dense!).median });
      console.log(`${rows} rows, tile ${tile}, rank ${rank}: ${show(of_dense, 2)} of dense`);
    }
    await dense.release();
  }
  return lines;
}

function memoryFigures() {
  const [idle, dense] = [megabytes('idle'), megabytes(`dense,${MEMORY_ROWS}`)];
  const lines = (
    [
      [8, 3],
      [16, 4],
      [32, 4],
    ] as const
  ).map(([tile, rank]) => {
    const mib = megabytes(`kronecker,${MEMORY_ROWS},${tile},${rank}`);
    const above_idle = (mib - idle) / (dense - idle);
    console.log(
      `peak memory, tile ${tile}, rank ${rank}: ${(mib / dense).toFixed(2)} of dense, ${above_idle.toFixed(2)} above an idle process`,
    );
    return { tile, rank, mib, of_dense: mib / dense, above_idle };
  });
  return { rows: MEMORY_ROWS, idle_mib: idle, dense_mib: dense, lines };
}

async function inferenceFigures(folder: string | undefined, threads: number, rounds: number) {
  const torch =
    folder === undefined
      ? null
      : await Torch.start(join(import.meta.dirname, 'block-sparse/inference.py'), folder, threads);
  const rows = INFERENCE_ROWS;
  const dense = await denseInference(rows, threads);
  const lines = [];
  for (const tile of [64, 32, 16, 8]) {
    for (const zeros of [0.5, 0.8, 0.9]) {
      const shape = { rows, tile, zeros };
      const chosen = await sparseInference({ ...shape, way: undefined }, threads);
      const others = await Promise.all(
        PRODUCT_WAYS.filter((way) => way !== chosen.way).map((way) => sparseInference({ ...shape, way }, threads)),
      );
      const products = [chosen, ...others];
      const times = await interleaved(2 * rounds, {
        dense: () => time(dense),
        ...Object.fromEntries(products.map((product) => [product.way, () => time(product)])),
        ...(torch && { torch: async () => 1000 * (await torch.measure(`${rows} ${tile} ${zeros}`)) }),
      });
      for (const product of products) {
        await product.release();
        const { way } = product;
        const of_dense = summary(ratios(times[way]!, times.dense!));
        const of_torch_bsr = times.torch ? summary(ratios(times[way]!, times.torch)) : null;
        const of_live_share = of_dense.median / (1 - zeros);
        lines.push({ tile, zeros, way, chosen: product === chosen, of_dense, of_live_share, of_torch_bsr });
        console.log(
          `inference, tile ${tile}, ${100 * zeros} % zero, ${way}${product === chosen ? ' (chosen)' : ''}: ${show(of_dense, 2)} of dense, ${of_live_share.toFixed(2)} of the live share` +
            (of_torch_bsr ? `, ${show(of_torch_bsr, 2)} of PyTorch's BSR` : ''),
        );
      }
    }
  }
  await dense.release();
  torch?.stop();
  return { rows, torch: torch?.version ?? null, lines };
}
