import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import dafh from '../../../gpu-worker/jobs/dafh.fit.ts';
import fairRegression from '../../../gpu-worker/jobs/fair_regression.fit.ts';
import audit from '../../../gpu-worker/jobs/fairness.audit.ts';
import predict from '../../../gpu-worker/jobs/fairness.predict.ts';
import type { Handler, HandlerInput, JobOutcome } from '../../../gpu-worker/jobs/handler.ts';
import lcf from '../../../gpu-worker/jobs/lcf.fit.ts';
import type { Blob, Manifest } from '../../../shared/contracts/thing.ts';
import { manifestSchema } from '../../../shared/contracts/thing.ts';
import { compilePredictor } from '../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../shared/fairness/predictors/document.ts';
import { readCsv, writeCsv } from '../../../shared/formats/csv.ts';
import { tableFromColumns } from '../../../shared/formats/json-table.ts';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import type { JobContract } from '../../../shared/jobs/contract.ts';
import dafhContract from '../../../shared/jobs/dafh.fit.ts';
import regressionContract from '../../../shared/jobs/fair_regression.fit.ts';
import auditContract from '../../../shared/jobs/fairness.audit.ts';
import predictContract from '../../../shared/jobs/fairness.predict.ts';
import lcfContract from '../../../shared/jobs/lcf.fit.ts';
import { stream } from '../../../shared/math/random.ts';
import { manifestId, sha256Hex } from '../../../shared/signing/digest.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sextant-fairness-'));
afterAll(() => rmSync(scratch, { recursive: true }));

type Files = Map<string, { blob: Blob; path: string }>;
type Ran = { outcome: JobOutcome<Record<string, unknown>>; files: Files; progress: number[] };

/** Runs a handler as the inbox would: params through the contract, the result against its schema. */
async function runJob(
  contract: JobContract,
  handler: Handler,
  params: unknown,
  inputs: Record<string, HandlerInput> = {},
): Promise<Ran> {
  const files: Files = new Map();
  const progress: number[] = [];
  const outcome = (await handler({
    params: contract.params.parse(params),
    configuration: {
      device: 'cpu',
      threads: 1,
      models: {},
      corpora: {},
      hubs: {},
      cache: scratch,
      memory_limit_bytes: 1e9,
    },
    scratch,
    input(id) {
      const found = inputs[id];
      if (!found) throw new Error(`no input ${id}`);
      return found;
    },
    progress: ({ fraction }) => progress.push(fraction),
    async artefact(name, media_type, content) {
      if (!(content instanceof Uint8Array)) throw new Error('bytes expected');
      const path = join(scratch, `${files.size}-${crypto.randomUUID()}`);
      writeFileSync(path, content);
      const blob = { name, media_type, bytes: content.length, sha256: await sha256Hex(new Uint8Array(content)) };
      files.set(name, { blob, path });
      return blob;
    },
    describeModel: () => undefined,
    checkpoint: { last: null, save: async () => true },
  })) as Ran['outcome'];
  contract.result.parse(outcome.result);
  for (const thing of outcome.things) manifestSchema.parse(thing);
  return { outcome, files, progress };
}

/** What a published thing looks like as an input of the next job. */
const asInput = (manifest: Manifest, files: Files): HandlerInput => ({
  manifest,
  blobs: manifest.blobs,
  file: async (name) => files.get(name)!.path,
});
function upload(name: string, bytes: Uint8Array | string): HandlerInput {
  const path = join(scratch, `${crypto.randomUUID()}-${name}`);
  writeFileSync(path, bytes);
  return {
    manifest: null,
    blobs: [{ name, sha256: '0'.repeat(64), bytes: bytes.length, media_type: 'text/csv' }],
    file: async () => path,
  };
}
const ART = `art_${'a'.repeat(26)}`;

const n = 900;
const z = stream(1, 'table').normal(4 * n);
const columns = {
  x1: Array.from({ length: n }, (_, i) => z[4 * i]! + (i % 2 ? 0.8 : -0.2)),
  x2: Array.from({ length: n }, (_, i) => z[4 * i + 1]!),
  kind: Array.from({ length: n }, (_, i) => ['p', 'q', 'r'][i % 3]!),
  g: Array.from({ length: n }, (_, i) => (i % 2 ? 'b' : 'a')),
};
const y = columns.x1.map((x, i) => Math.tanh(x) + 0.4 * columns.x2[i]! + 0.2 * z[4 * i + 2]!);
const features = { columns: ['x1', 'x2', 'kind'] };

describe('fair_regression.fit', () => {
  const params = {
    table: { columns: { ...columns, y } },
    target: 'y',
    group: 'g',
    features,
    network: { hidden: [16, 16], epochs: 6, batch: 32, learning_rate: 3e-3 },
    c1: [1, 15],
    c2: [1, 50],
    seed: 3,
  };

  it('publishes a predictor that the next job can run, without the group column', async () => {
    const { outcome, files, progress } = await runJob(regressionContract, fairRegression, params);
    const result = outcome.result as {
      predictor: string;
      chosen: number;
      points: { method: string; test: { ks: number; mse: number }; validation: { mse: number } }[];
      frontier: number[];
    };
    expect(result.predictor).toBe(await manifestId(outcome.things[0]!));
    expect(result.points[result.chosen]!.validation.mse).toBeLessThanOrEqual(result.points[0]!.validation.mse * 1.15);
    expect(result.points.map((p) => p.method)).toContain('barycentre with the true group');
    expect(progress.every((f) => f >= 0 && f <= 1)).toBe(true);
    expect([...files.keys()]).toEqual(['predictor.json', 'frontier.svg', 'distributions.svg']);
    const csv = writeCsv([
      { name: 'x1', values: columns.x1 },
      { name: 'x2', values: columns.x2 },
      { name: 'kind', values: columns.kind },
    ]);
    const inputs = { [ART]: upload('rows.csv', csv), [result.predictor]: asInput(outcome.things[0]!, files) };
    const predicted = await runJob(
      predictContract,
      predict,
      { table: { artefact: ART }, predictor: result.predictor },
      inputs,
    );
    const table = readCsv(readFileSync(predicted.files.get('predictions.csv')!.path));
    expect(table.rows).toBe(n);
    const again = await runJob(regressionContract, fairRegression, params);
    expect((again.outcome.result as { predictor: string }).predictor).toBe(result.predictor);
  });

  it('imports a network from safetensors and refuses one that does not fit', async () => {
    const tensor = (name: string, shape: number[]) =>
      floatTensor(
        name,
        shape,
        Float32Array.from(
          stream(5, name).normal(
            shape.reduce((a, b) => a * b, 1),
            { deviation: 0.4 },
          ),
        ),
      );
    const network = (inputs: number) =>
      upload(
        'net.safetensors',
        writeSafetensors([
          tensor('0.weight', [8, inputs]),
          tensor('0.bias', [8]),
          tensor('2.weight', [1, 8]),
          tensor('2.bias', [1]),
        ]),
      );
    const imported = { ...params, network: { safetensors: ART } };
    const { outcome } = await runJob(regressionContract, fairRegression, imported, { [ART]: network(5) });
    expect((outcome.result as { points: unknown[] }).points.length).toBe(1 + 3 + 3 + 1);
    await expect(runJob(regressionContract, fairRegression, imported, { [ART]: network(4) })).rejects.toThrow(
      /takes 4 features, the table gives 5/,
    );
    await expect(
      runJob(regressionContract, fairRegression, imported, { [ART]: upload('x', 'junk') }),
    ).rejects.toMatchObject({ code: 'data_invalid' });
  });

  it('refuses tables it cannot use', async () => {
    const one = { ...params, table: { columns: { ...columns, g: columns.g.map(() => 'a'), y } } };
    await expect(runJob(regressionContract, fairRegression, one)).rejects.toThrow(/one group only/);
    await expect(runJob(regressionContract, fairRegression, { ...params, target: 'kind' })).rejects.toThrow(
      /numbers are needed/,
    );
    await expect(runJob(regressionContract, fairRegression, { ...params, target: 'nothing' })).rejects.toThrow(
      /no column "nothing"/,
    );
  });
});

describe('dafh.fit', () => {
  it('learns groups without demographics and reports what they get', async () => {
    const [x1, x2] = [0, 1].map((j) =>
      Array.from({ length: 1600 }, (_, i) => stream(2, 'xor').uniform(1, { start: 2 * i + j, low: -1 })[0]!),
    ) as [number[], number[]];
    const label = x1.map((x, i) => (x * x2[i]! > 0 ? 'yes' : 'no'));
    const side = x1.map((x) => (x > 0 ? 'right' : 'left'));
    const { outcome, files } = await runJob(dafhContract, dafh, {
      table: { columns: { x1, x2, label, side } },
      label: 'label',
      positive: 'yes',
      features: { columns: ['x1', 'x2'] },
      demographics: ['side'],
      groups: [2],
      restarts: 3,
      steps: 250,
    });
    const result = outcome.result as {
      groups: number;
      methods: { method: string; accuracy: number; needs_demographics: boolean }[];
      preferences: { demographics: { groups: { harmed: boolean }[] }[]; without_harm_rate: number };
      predictor: string;
    };
    expect(result.groups).toBe(2);
    const by = Object.fromEntries(result.methods.map((m) => [m.method, m]));
    expect(by.guarded!.accuracy).toBeGreaterThan(0.95);
    expect(by.pooled!.accuracy).toBeLessThan(0.65);
    expect(by.decoupled!.needs_demographics).toBe(true);
    expect(result.preferences.without_harm_rate).toBe(1);
    expect(result.preferences.demographics[0]!.groups.map((g) => g.harmed)).toEqual([false, false]);
    const inputs = { [result.predictor]: asInput(outcome.things[0]!, files) };
    const predicted = await runJob(
      predictContract,
      predict,
      { table: { columns: { x1, x2 } }, predictor: result.predictor, format: 'arrow' },
      inputs,
    );
    expect(predicted.outcome.result).toMatchObject({ columns: ['score', 'routed'] });
    await expect(
      runJob(dafhContract, dafh, { table: { columns: { x1, label } }, label: 'label', features: { columns: ['x1'] } }),
    ).rejects.toThrow(/numbers are needed/);
  }, 60_000);
});

describe('lcf.fit', () => {
  const a = Array.from({ length: n }, (_, i) => (i % 2 ? 'f' : 'm'));
  const x = a.map((label, i) => 2 * z[4 * i]! + (label === 'f' ? 1 : 0));
  const status = x.map((v, i) => 0.5 * v + 0.3 * z[4 * i + 1]!);
  const table = { columns: { a, x, status } };

  it('estimates a linear model and keeps the gap that rho asks for', async () => {
    const { outcome } = await runJob(lcfContract, lcf, {
      table,
      attribute: { column: 'a', labels: ['m', 'f'] },
      status: 'status',
      model: { estimate: [{ name: 'x' }, { name: 'status', parents: ['x'], attribute: false }] },
      eta: [2, 10],
      rho: [1, 0.5],
    });
    const result = outcome.result as {
      points: { eta: number; rho: number; mse: number; present_gap: number; future_gap: number; constant: number }[];
      baselines: { mse: number }[];
      predictor: string;
    };
    for (const p of result.points) {
      expect(p.future_gap).toBeCloseTo(Math.abs(1 - p.rho) * p.present_gap, 9);
      expect(Math.abs(p.present_gap - 0.5)).toBeLessThan(0.15);
      // T = 1 / (eta (0.5 * 2)^2): the status's own noise is averaged out of the score.
      expect(p.constant * p.eta).toBeCloseTo(1, 0);
    }
    expect(result.baselines).toHaveLength(2);
    expect(result.predictor).toMatch(/^prd_/);
  });

  it('samples a latent model, scores on draws of it, and publishes what the edge can run', async () => {
    const k = Array.from({ length: n }, (_, i) => z[4 * i]!);
    const gpa = k.map((v, i) => 3 + 0.8 * v + (i % 2 ? 0.3 : 0) + 0.4 * z[4 * i + 1]!);
    const fya = k.map((v, i) => 0.7 * v + (i % 2 ? 0.5 : 0) + z[4 * i + 3]!);
    const { outcome, files } = await runJob(lcfContract, lcf, {
      table: { columns: { a, gpa, fya } },
      attribute: { column: 'a', labels: ['m', 'f'] },
      status: 'fya',
      model: { latent: { children: [{ name: 'gpa' }], burn_in: 80, samples: 100 } },
      rho: [1, 0],
    });
    const result = outcome.result as {
      points: { present_gap: number; future_gap: number }[];
      fit: { published_mse: number };
      predictor: string;
    };
    expect(result.points[0]!.future_gap).toBeLessThan(1e-9);
    expect(result.points[1]!.future_gap).toBeCloseTo(result.points[1]!.present_gap, 9);
    expect(Math.abs(result.points[0]!.present_gap - 0.5)).toBeLessThan(0.35);
    expect(result.predictor).toMatch(/^prd_/);
    const stored = JSON.parse(readFileSync(files.get('predictor.json')!.path, 'utf8'));
    const predictor = compilePredictor(predictorDocumentSchema.parse(stored));
    expect(predictor.columns).toEqual(['gpa', 'a']);
    const { scores, presentGap, futureGap } = predictor.predict(tableFromColumns({ a, gpa }));
    expect(presentGap![0]).toBeCloseTo(result.points[0]!.present_gap, 9);
    expect(Math.max(...futureGap!)).toBeLessThan(1e-9);
    // Knowing K exactly would leave the noise of the status, 1; the mean of the status is what a blind score leaves.
    const mean = fya.reduce((sum, v) => sum + v, 0) / n;
    const [error, blind] = [scores, fya.map(() => mean)].map((s) =>
      fya.reduce((sum, v, i) => sum + (v - s[i]!) ** 2 / n, 0),
    );
    expect(error).toBeLessThan(0.95 * blind!);
    expect(Math.abs(result.fit.published_mse - error!)).toBeLessThan(0.5);
  });

  it.each([
    [/no column q/, { model: { estimate: [{ name: 'status', parents: ['q'] }] }, columns: { ...table.columns, q: x } }],
    [
      /depends on itself/,
      {
        model: {
          estimate: [
            { name: 'x', parents: ['status'] },
            { name: 'status', parents: ['x'] },
          ],
        },
      },
    ],
    [/known: m/, { attribute: { column: 'a', labels: ['m', 'w'] } }],
    [/eta/, { eta: [0] }],
  ])(
    'refuses what cannot be fitted: %s',
    async (message, { columns: other, ...change }: { columns?: unknown } & Record<string, unknown>) => {
      const base = {
        table: other ? { columns: other } : table,
        attribute: { column: 'a', labels: ['m', 'f'] },
        status: 'status',
        model: { estimate: [{ name: 'x' }, { name: 'status', parents: ['x'] }] },
      };
      await expect(runJob(lcfContract, lcf, { ...base, ...change })).rejects.toThrow(message);
    },
  );
});

describe('fairness.audit', () => {
  it('reports every attribute with plots whose texts are harmless', async () => {
    const nasty = columns.g.map((g) => (g === 'a' ? '<script>alert(1)</script>' : '"&\'b'));
    const { outcome, files } = await runJob(auditContract, audit, {
      table: { columns: { score: y, before: y.map((v) => 2 * v), g: nasty, kind: columns.kind, truth: y } },
      prediction: 'score',
      before: 'before',
      label: 'truth',
      groups: ['g', 'kind'],
      draws: 40,
      permutations: 20,
    });
    const result = outcome.result as { plots: string[]; overall: Record<string, unknown> };
    expect(Object.keys(result.overall)).toEqual(['g', 'kind', 'g & kind']);
    expect(result.plots).toContain('distributions-0.svg');
    for (const name of result.plots) {
      const svg = readFileSync(files.get(name)!.path, 'utf8');
      expect(svg.startsWith('<svg xmlns=')).toBe(true);
      expect(svg).not.toContain('<script');
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    }
    expect(readFileSync(files.get('distributions-0.svg')!.path, 'utf8')).toContain('&lt;script&gt;');
    expect(JSON.parse(readFileSync(files.get('report.json')!.path, 'utf8')).rows).toBe(n);
  });
});
