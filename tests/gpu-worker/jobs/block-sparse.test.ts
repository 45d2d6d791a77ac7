import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromBlockCsr } from '../../../gpu-worker/block-sparse/tiles/block-csr.ts';
import { denseWeight } from '../../../gpu-worker/block-sparse/tiles/factors.ts';
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { floatTensor, readSafetensors, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import blockSparseTrain from '../../../shared/jobs/block_sparse.train.ts';
import { stream } from '../../../shared/math/random.ts';
import { LocalJobs } from '../../support/job-context.ts';

/** Images of 8 x 8 of two classes: the upper or the lower half is bright; half of the columns never are. */
function idx(rows: number, seed: number) {
  const random = stream(seed, 'images');
  const noise = random.uniform(rows * 64);
  const labels = Uint8Array.from({ length: rows }, (_, i) => i % 2);
  const pixels = Uint8Array.from({ length: rows * 64 }, (_, i) => {
    const [row, y, x] = [Math.floor(i / 64), Math.floor((i % 64) / 8), i % 8];
    const bright = y < 4 === (labels[row] === 0);
    return x < 4 ? 0 : Math.round(255 * (0.5 * noise[i]! + (bright ? 0.5 : 0)));
  });
  const header = (shape: number[]) => {
    const view = new DataView(new ArrayBuffer(4 + 4 * shape.length));
    view.setUint16(2, 0x0800 + shape.length);
    shape.forEach((size, i) => {
      view.setUint32(4 + 4 * i, size);
    });
    return new Uint8Array(view.buffer);
  };
  return {
    images: Buffer.concat([header([rows, 8, 8]), pixels]),
    labels: Buffer.concat([header([rows]), labels]),
  };
}
const manifestOf = (blob: Manifest['blobs'][number]): Manifest => ({
  kind: 'model',
  schema: 1,
  method: 'upload',
  params: {},
  seed: null,
  model: null,
  model_digest: null,
  hook: null,
  data_digest: null,
  blobs: [blob],
  body: {},
});

let jobs: LocalJobs;
let set: ReturnType<typeof idx>;
const artefact = (letter: string) => `art_${letter.repeat(26)}`;
async function upload(letter: string, bytes: Uint8Array): Promise<string> {
  const blob = await jobs.context({}).artefact('file', 'application/octet-stream', bytes);
  jobs.published.set(artefact(letter), manifestOf(blob));
  return artefact(letter);
}
const params = (more: Record<string, unknown> = {}) => ({
  task: { kind: 'images', images: artefact('a'), labels: artefact('b') },
  tiles: [[4, 2]],
  rank: 2,
  methods: ['dense', 'kpd', 'group_lasso', 'rigl', 'pruning'],
  lambda: [1.2],
  lambda_absolute: [0.01],
  sparsity: [0.5],
  seeds: [0],
  steps: 60,
  batch: 20,
  learning_rate: 0.1,
  ...more,
});

beforeAll(async () => {
  jobs = new LocalJobs({ threads: 1 });
  set = idx(400, 1);
  await upload('a', gzipSync(set.images));
  await upload('b', set.labels);
});
afterAll(() => jobs.close());

describe('block_sparse.train on images', () => {
  it('compares all methods on one split, and stores a model that computes what was measured', async () => {
    const { result, published } = await jobs.run(blockSparseTrain, params({ dense_export: true }));
    expect(result.points.map(({ point }) => point.method)).toEqual([
      'dense',
      'kpd',
      'kpd',
      'group_lasso',
      'rigl',
      'pruning',
    ]);
    for (const { test } of result.points) {
      expect(test.accuracy).toBeGreaterThan(0.9);
    }
    // An unpenalised model has no zero tiles, whatever a counter without magnitudes says.
    const [dense] = result.points;
    expect(dense!.zero_share).toBe(0);
    expect(dense!.signed_test_share).toBeGreaterThan(0.3);
    const kpd = result.points.find(
      ({ point, lambda_share }) => point.method === 'kpd' && Math.abs(lambda_share! - 1.2) < 1e-9,
    )!;
    // Columns that are always black die at a little more than the critical penalty.
    expect(kpd.zero_share).toBeGreaterThanOrEqual(0.25);
    expect(kpd.point.lambda).toBeCloseTo(1.2 * result.critical_lambda, 12);
    for (const method of ['rigl', 'pruning']) {
      expect(result.points.find(({ point }) => point.method === method)!.zero_share).toBeCloseTo(0.5, 6);
    }

    // Whether the zeros of the chosen model are worth anything here is measured, not counted.
    const chosen = result.points.find(({ point }) => JSON.stringify(point) === JSON.stringify(result.chosen))!;
    expect(result.inference.map(({ layer }) => layer)).toEqual(chosen.zero_share > 0 ? ['head'] : []);
    for (const { live_share, dense_ms, live_tiles_ms } of result.inference) {
      expect(live_share).toBeCloseTo(1 - chosen.zero_share, 12);
      expect(Math.min(dense_ms, live_tiles_ms)).toBeGreaterThan(0);
    }

    const [model, report] = published;
    // The edge learns what the model is for, and refuses it to jobs over text.
    const described = jobs.described.find(({ key }) => key === result.model)!;
    expect(described).toMatchObject({ task: 'image', family: 'block-sparse-linear', digest: model!.model_digest });
    expect(described.parameters).toBe(chosen.parameters);
    const layers = model!.body.layers as Record<
      string,
      { format: string; tile: [number, number]; rank: number | null }
    >;
    const file = readSafetensors(jobs.read(model!.blobs.find(({ name }) => name === 'model.safetensors')!));
    const exported = readSafetensors(jobs.read(model!.blobs.find(({ name }) => name === 'dense.safetensors')!));
    expect(exported.shape('head.weight')).toEqual([2, 64]);
    const weight =
      layers.head!.format === 'factored'
        ? denseWeight({
            grid: { p: 16, q: 1, m: 4, n: 2 },
            rank: layers.head!.rank!,
            s: file.float32('head.S'),
            a: file.float32('head.A'),
            b: file.float32('head.B'),
          })
        : fromBlockCsr({
            grid: { p: 16, q: 1, m: 4, n: 2 },
            crowIndices: new BigInt64Array(Uint8Array.from(file.bytes('head.crow_indices')).buffer),
            colIndices: new BigInt64Array(Uint8Array.from(file.bytes('head.col_indices')).buffer),
            values: file.float32('head.values'),
          });
    const dense64 = exported.float32('head.weight');
    for (let i = 0; i < 64; i++) {
      for (let o = 0; o < 2; o++) {
        expect(weight[i * 2 + o]).toBeCloseTo(dense64[o * 64 + i]!, 5);
      }
    }
    expect(report!.blobs.map(({ name }) => name)).toEqual(['report.json', 'tiles-0.svg', 'frontier.svg']);
    expect(jobs.progress.at(-1)!.metrics).toHaveProperty('zero_share');
  });

  it('goes on where another attempt was killed, to the same model and curve', async () => {
    const settings = params({ methods: ['kpd', 'rigl'], lambda_absolute: [], steps: 50 });
    const whole = await jobs.run(blockSparseTrain, settings);
    const saved = jobs.checkpoints.filter(({ state }) => (state.run as { training?: unknown } | null)?.training);
    expect(saved.length).toBeGreaterThan(0);
    for (const last of [saved[0]!, saved.at(-1)!]) {
      const resumed = await jobs.run(blockSparseTrain, settings, last);
      expect(resumed.result.model).toBe(whole.result.model);
      const timeless = ({ result }: typeof whole) => result.points.map(({ seconds: _, ...point }) => point);
      expect(timeless(resumed)).toEqual(timeless(whole));
    }
  });

  it('goes on with a search after a size has vanished, to the same sizes', async () => {
    const settings = params({
      methods: ['size_search'],
      tiles: [
        [4, 2],
        [2, 1],
      ],
      lambda: [0.1],
      lambda_absolute: [],
      group_lambda: 0.05,
      steps: 80,
    });
    const before = jobs.checkpoints.length;
    const whole = await jobs.run(blockSparseTrain, settings);
    expect(whole.result.points[0]!.surviving_tiles!.head).toHaveLength(1);
    const last = jobs.checkpoints
      .slice(before)
      .findLast(({ state }) => (state.run as { training?: unknown } | null)?.training);
    const resumed = await jobs.run(blockSparseTrain, settings, last!);
    expect(resumed.result.model).toBe(whole.result.model);
    expect(resumed.result.points[0]!.surviving_tiles).toEqual(whole.result.points[0]!.surviving_tiles);
  });

  it('stops a run whose penalty kills a layer at the step where it would happen, with the last good state', async () => {
    const { result } = await jobs.run(
      blockSparseTrain,
      params({ methods: ['kpd'], lambda: [50], lambda_absolute: [] }),
    );
    const [point] = result.points;
    expect(point!.stopped!.layer).toBe('head');
    expect(point!.stopped!.step).toBeLessThan(10);
    expect(point!.zero_share).toBeLessThan(1);
    expect(result.warnings.join()).toMatch(/would have emptied layer 'head'/);
  });

  it('bears a rate at which the factors would drive each other without end, were gradients not clipped', async () => {
    const settings = params({ methods: ['kpd_unpenalised'], learning_rate: 10, weight_decay: 0, lambda: [] });
    const { result } = await jobs.run(blockSparseTrain, { ...settings, lambda_absolute: [] });
    expect(result.points[0]!.stopped).toBeNull();
  });

  it('goes on with the other points where one diverges', async () => {
    const settings = params({
      methods: ['kpd_unpenalised', 'pruning'],
      learning_rate: 10,
      // The factors are multiplied by 1 - 10 in every step.
      weight_decay: 1,
      lambda: [],
      lambda_absolute: [],
    });
    const { result } = await jobs.run(blockSparseTrain, settings);
    expect(result.points).toHaveLength(2);
    expect(result.points[0]!.stopped).toMatchObject({ layer: null });
    expect(result.warnings.join()).toMatch(/stopped being a number/);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['tiles that do not divide', { tiles: [[5, 2]] }, /5 does not divide its 64 inputs.*4 and 8/],
    ['more terms than a tile has numbers', { rank: 9 }, /9 terms are more than the 8 numbers/],
    ['a method without its strength', { sparsity: [] }, /sparsity: 'rigl' needs at least one value/],
    ['too few rows', { batch: 300 }, /a batch needs 300 rows/],
    ['a network for other images', { model: { kind: 'lenet' } }, /8 x 8; lenet needs/],
  ])('refuses %s', async (_, change, message) => {
    await expect(jobs.run(blockSparseTrain, params(change))).rejects.toThrow(message);
  });

  it('refuses damaged files with what is wrong', async () => {
    const broken = [
      ['c', set.images.subarray(0, -3), /announces 400 x 8 x 8 = 25600 bytes, 25597 follow/],
      ['d', gzipSync(set.images).subarray(0, 500), /images: the gzip data cannot be read/],
      ['e', Buffer.from('no idx file'), /images: is not an idx file/],
    ] as const;
    for (const [letter, bytes, message] of broken) {
      const task = { kind: 'images', images: await upload(letter, bytes), labels: artefact('b') };
      await expect(jobs.run(blockSparseTrain, params({ task }))).rejects.toThrow(message);
    }
    const one = await upload('f', Buffer.concat([set.labels.subarray(0, 8), new Uint8Array(400)]));
    const task = { kind: 'images', images: artefact('a'), labels: one };
    await expect(jobs.run(blockSparseTrain, params({ task }))).rejects.toThrow(/all 400 labels are 0/);
  });

  it('refuses pixels that are no numbers, labels for other images, and images of no one size, naming them', async () => {
    const tensors = (shape: number[], values: Float32Array, labels: number) =>
      writeSafetensors([
        floatTensor('images', shape, values),
        floatTensor(
          'labels',
          [labels],
          Float32Array.from({ length: labels }, (_, i) => i % 2),
        ),
      ]);
    const pixels = new Float32Array(40 * 64).fill(0.5);
    const damaged = pixels.slice();
    damaged[2 * 64 + 5] = Number.NaN;
    const broken = [
      ['g', tensors([40, 8, 8], damaged, 40), /image 2 has the pixel NaN at position 5/],
      ['h', tensors([40, 8, 8], pixels, 39), /there are 40 images and 39 labels/],
      ['i', tensors([40, 64], pixels, 40), /'images' must be \[n, height, width\].*it is \[40, 64\]/],
    ] as const;
    for (const [letter, bytes, message] of broken) {
      const task = { kind: 'images', images: await upload(letter, bytes) };
      await expect(jobs.run(blockSparseTrain, params({ task }))).rejects.toThrow(message);
    }
  });

  it('says before any work how much memory the images or a training would take, and what there is', async () => {
    const refusal = async (memory_limit_bytes: number, model: Record<string, unknown>): Promise<string> => {
      const small = new LocalJobs({ memory_limit_bytes });
      for (const [id, manifest] of jobs.published) {
        small.published.set(id, manifest);
        for (const blob of manifest.blobs) {
          await small.context({}).artefact(blob.name, blob.media_type, jobs.read(blob));
        }
      }
      const message = await small.run(blockSparseTrain, params({ model })).then(
        () => 'not refused',
        (error: Error) => error.message,
      );
      small.close();
      expect(small.progress).toEqual([]);
      return message;
    };
    expect(await refusal(200_000, { kind: 'linear' })).toBe(
      '25600 pixels take about 230400 bytes once they are read and split; this worker may use 200000',
    );
    expect(await refusal(1_000_000, { kind: 'mlp', widths: [8192] })).toMatch(/MiB/);
  });

  it('says what rank and tile cannot save', async () => {
    const { result } = await jobs.run(
      blockSparseTrain,
      params({ methods: ['kpd'], lambda: [1], lambda_absolute: [], rank: 8, steps: 4 }),
    );
    expect(result.warnings.join('\n')).toMatch(/dense in disguise/);
    expect(result.warnings.join('\n')).toMatch(/no operations saved/);
    const half = params({ model: { kind: 'mlp', widths: [16] }, tiles: [[2, 2]], rank: 1, methods: ['kpd'], steps: 4 });
    const { warnings } = (await jobs.run(blockSparseTrain, { ...half, lambda_absolute: [] })).result;
    expect(warnings.join('\n')).toMatch(/fc1, tiles 2 x 2, rank 1: .* no training time is saved/);
  });
});

it('learns a table of two classes with a multilayer perceptron', async () => {
  const random = stream(3, 'table');
  const rows = 300;
  const names = ['a', 'b', 'c', 'd'];
  const values = names.map((name) => Array.from(random.derive(name).normal(rows)));
  const label = Array.from({ length: rows }, (_, i) => (values[0]![i]! + values[1]![i]! > 0 ? 'yes' : 'no'));
  const columns = { ...Object.fromEntries(names.map((name, k) => [name, values[k]!])), label };
  const { result } = await jobs.run(blockSparseTrain, {
    task: { kind: 'table', table: { columns }, label: 'label', features: { columns: names } },
    model: { kind: 'mlp', widths: [16] },
    tiles: [[2, 4]],
    rank: 1,
    methods: ['dense', 'kpd'],
    lambda: [0.8],
    optimiser: 'adam',
    learning_rate: 0.02,
    steps: 80,
    batch: 30,
    format: 'block_csr',
  });
  expect(result.left_dense).toEqual(['head']);
  for (const { test } of result.points) {
    expect(test.accuracy).toBeGreaterThan(0.85);
  }
  expect(result.points[1]!.layers.map(({ name }) => name)).toEqual(['fc1']);
});
