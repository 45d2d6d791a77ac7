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
import { denseInference, denseStep, kroneckerStep, sparseInference, type Timed } from './block-sparse/layers.ts';
import { interleaved, ratios, type Summary, show, summary, timed } from './pairs.ts';
import { Torch } from './torch/process.ts';

const TILES = [8, 16, 32] as const;
const RANKS = [1, 2, 3, 4] as const;
/** Ranks of half the tile's side and above, where the gain is expected to end. */
const BEYOND = [
  [8, 6],
  [16, 7],
  [16, 8],
  [32, 8],
  [32, 16],
] as const;

/** Of many rows, which take long: the shapes of the prototype's figures, and two beyond. */
const MANY_ROWS = [
  [8, 1],
  [8, 2],
  [8, 3],
  [16, 4],
  [32, 4],
  [16, 7],
  [32, 8],
] as const;

const time = async (work: Timed) => timed(() => work.run());

/** One measurement of peak memory: a process of its own runs the step a few times. */
async function peak(which: string): Promise<void> {
  const [kind, rows, tile, rank] = which.split(',');
  const work =
    kind === 'dense'
      ? await denseStep(Number(rows), 1)
      : await kroneckerStep(Number(rows), Number(tile), Number(rank), 1);
  for (let i = 0; i < 3; i++) {
    await work.run();
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
      rounds: { type: 'string', default: '5' },
      rows: { type: 'string', default: '256,8192' },
      peak: { type: 'string' },
    },
  });
  if (values.peak) {
    return peak(values.peak);
  }
  const [threads, rounds] = [Number(values.threads), Number(values.rounds)];
  const training: { rows: number; tile: number; rank: number; of_dense: Summary; dense_ms: number }[] = [];
  for (const rows of values.rows.split(',').map(Number)) {
    const dense = await denseStep(rows, threads);
    const all = [...TILES.flatMap((tile) => RANKS.map((rank) => [tile, rank] as const)), ...BEYOND];
    const shapes = rows > 1000 ? MANY_ROWS : all;
    for (const [tile, rank] of shapes) {
      const layer = await kroneckerStep(rows, tile, rank, threads);
      const times = await interleaved(rows > 1000 ? Math.min(rounds, 3) : rounds, {
        dense: () => time(dense),
        layer: () => time(layer),
      });
      await layer.release();
      const of_dense = summary(ratios(times.layer!, times.dense!));
      training.push({ rows, tile, rank, of_dense, dense_ms: summary(times.dense!).median });
      console.log(`${rows} rows, tile ${tile}, rank ${rank}: ${show(of_dense, 2)} of dense`);
    }
    await dense.release();
  }
  const rows = 8192;
  const base = megabytes(`dense,${rows}`);
  const memory = [
    { tile: 8, rank: 3 },
    { tile: 16, rank: 4 },
    { tile: 32, rank: 4 },
  ].map(({ tile, rank }) => ({ rows, tile, rank, of_dense: megabytes(`kronecker,${rows},${tile},${rank}`) / base }));
  for (const { tile, rank, of_dense } of memory) {
    console.log(`peak memory, tile ${tile}, rank ${rank}: ${of_dense.toFixed(2)} of dense`);
  }
  const inference = await inferenceFigures(values.torch, threads, rounds);
  const device = `${cpus()[0]?.model ?? 'unknown'}, ${threads} of ${cpus().length} threads`;
  writeFileSync(
    join(import.meta.dirname, 'results/block-sparse.json'),
    `${JSON.stringify({ device, rounds, training, memory: { dense_mib: base, lines: memory }, inference }, null, 1)}\n`,
  );
}

async function inferenceFigures(folder: string | undefined, threads: number, rounds: number) {
  const torch =
    folder === undefined
      ? null
      : await Torch.start(join(import.meta.dirname, 'block-sparse/inference.py'), folder, threads);
  const rows = 256;
  const dense = await denseInference(rows, threads);
  const lines: {
    tile: number;
    zeros: number;
    of_dense: Summary;
    of_live_share: number;
    of_torch_bsr: Summary | null;
  }[] = [];
  for (const tile of [64, 32, 16, 8]) {
    for (const zeros of [0.5, 0.8, 0.9]) {
      const sparse = await sparseInference(rows, tile, zeros, threads);
      const times = await interleaved(2 * rounds, {
        dense: () => time(dense),
        sparse: () => time(sparse),
        ...(torch && { torch: async () => 1000 * (await torch.measure(`${rows} ${tile} ${zeros}`)) }),
      });
      await sparse.release();
      const of_dense = summary(ratios(times.sparse!, times.dense!));
      const of_torch_bsr = times.torch ? summary(ratios(times.sparse!, times.torch)) : null;
      lines.push({ tile, zeros, of_dense, of_live_share: of_dense.median / (1 - zeros), of_torch_bsr });
      console.log(
        `inference, tile ${tile}, ${100 * zeros} % zero: ${show(of_dense, 2)} of dense, ${(of_dense.median / (1 - zeros)).toFixed(2)} of the live share` +
          (of_torch_bsr ? `, ${show(of_torch_bsr, 2)} of PyTorch's BSR` : ''),
      );
    }
  }
  await dense.release();
  torch?.stop();
  return { rows, torch: torch?.version ?? null, lines };
}
