/** Search for the tile size on planted data (10.4): rows of a block-sparse matrix whose tiles have one true size. */
import { measurePoint } from '../../../gpu-worker/block-sparse/comparison/measure.ts';
import type { Plan } from '../../../gpu-worker/block-sparse/comparison/points.ts';
import type { Tile } from '../../../gpu-worker/block-sparse/tiles/tiles.ts';
import type { ModelSpec } from '../../../gpu-worker/block-sparse/training/model.ts';
import type { Samples } from '../../../gpu-worker/block-sparse/training/samples.ts';
import { networkSubject } from '../../../gpu-worker/block-sparse/training/subject.ts';
import { stream } from '../../../shared/math/random.ts';

export type PlantedOptions = { size: number; tile: number | null; seed: number; steps?: number };
export type PlantedLine = {
  tile: number | null;
  seed: number;
  groupLambda: number;
  validation: number;
  test: number;
  survivors: number[];
  found: number | null;
};

const [ROWS, BATCH, NOISE, LIVE] = [4000, 200, 0.1, 0.25] as const;
const CANDIDATES = [2, 4, 8, 16] as const;
/** The group penalties among which the validation rows choose. */
const GROUP = [0.03, 0.1] as const;

/** W* with a quarter of its tiles live, each a multiple of one pattern; null: no tiles at all, every entry drawn. */
function plantedWeight({ size, tile, seed }: PlantedOptions): Float64Array {
  const random = stream(seed, 'planted');
  if (tile === null) {
    return random
      .derive('entries')
      .normal(size * size)
      .map((w) => w / Math.sqrt(size));
  }
  const grid = size / tile;
  const live = new Set(random.derive('live').subset(grid * grid, Math.round(LIVE * grid * grid)));
  const scales = random.derive('scales').normal(grid * grid);
  const pattern = random.derive('pattern').normal(tile * tile);
  return Float64Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    const at = Math.floor(row / tile) * grid + Math.floor(column / tile);
    const entry = scales[at]! * pattern[(row % tile) * tile + (column % tile)]!;
    return live.has(at) ? entry / Math.sqrt(LIVE * size) : 0;
  });
}

function rowsOf(weight: Float64Array, { size, seed }: PlantedOptions, part: string, rows: number): Samples {
  const random = stream(seed, `rows ${part}`);
  const x = random.derive('x').normal32(rows * size);
  const noise = random.derive('noise').normal(rows * size);
  const y = Float32Array.from(noise, (e) => NOISE * e);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < size; i++) {
      const value = x[r * size + i]!;
      for (let o = 0; o < size; o++) {
        y[r * size + o] = y[r * size + o]! + value * weight[i * size + o]!;
      }
    }
  }
  return { rows, width: size, x, y };
}

/** The group penalty is chosen on the validation rows; a size is found where every layer keeps one alone and it fits. */
export async function searchPlanted(options: PlantedOptions): Promise<PlantedLine> {
  const { size, tile, seed, steps = 3000 } = options;
  const weight = plantedWeight(options);
  const [train, validation, test] = [ROWS, 500, 1000].map((rows, i) => rowsOf(weight, options, String(i), rows)) as [
    Samples,
    Samples,
    Samples,
  ];
  const spec: ModelSpec = { network: { kind: 'linear' }, inputs: size, task: { kind: 'values', outputs: size } };
  const subject = networkSubject(spec, { train, validation, test }, BATCH);
  const lines: PlantedLine[] = [];
  for (const groupLambda of GROUP) {
    const plan: Plan = {
      methods: ['size_search'],
      tiles: CANDIDATES.map((m): Tile => [m, m]),
      rank: 2,
      lambda: [],
      lambdaAbsolute: [],
      sparsity: [],
      groupLambda,
      seeds: [seed],
      steps,
      debiasSteps: 0,
      rate: 0.02,
      optimiser: { kind: 'adam', momentum: 0 },
      ramp: 3,
      freezeFrom: steps + 1,
      decay: { kind: 'decoupled', value: 1e-3 },
      gain: 1,
      kroneckerGain: 1,
      build: false,
    };
    const point = { method: 'size_search' as const, tile: [2, 2] as const, lambda: 0.1, sparsity: null, seed };
    const { figures } = await measurePoint(point, { subject, plan, threads: 1 });
    const survivors = (figures.survivingTiles?.head ?? []).map(([m]) => m);
    const found = survivors.length === 1 && !figures.stopped ? survivors[0]! : null;
    lines.push({
      tile,
      seed,
      groupLambda,
      validation: figures.validation.loss,
      test: figures.test.loss,
      survivors,
      found,
    });
  }
  return lines.reduce((best, line) => (line.validation < best.validation ? line : best));
}

/** The sizes of the reference runs, and a matrix without tiles. */
export async function planted(
  seeds: readonly number[],
  { known, save }: { known: readonly PlantedLine[]; save(line: PlantedLine): void },
): Promise<void> {
  for (const tile of [4, 8, 16, null]) {
    for (const seed of seeds.slice(0, tile === null ? 1 : seeds.length)) {
      if (known.some((line) => line.tile === tile && line.seed === seed)) {
        continue;
      }
      save(await searchPlanted({ size: 64, tile, seed }));
    }
  }
}
