import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import audit from '../../../gpu-worker/jobs/fairness.audit.ts';
import correct from '../../../gpu-worker/jobs/fairness.correct.ts';
import editLayer from '../../../gpu-worker/jobs/fairness.edit_layer.ts';
import fitGated from '../../../gpu-worker/jobs/fairness.fit_gated.ts';
import predict from '../../../gpu-worker/jobs/fairness.predict.ts';
import type { HandlerInput } from '../../../gpu-worker/jobs/handler.ts';
import { encodeModel, type OnnxGraph, type OnnxTensor } from '../../../gpu-worker/onnx/model.ts';
import type { preferencesReport } from '../../../shared/fairness/audit/document.ts';
import { readCsv, writeCsv } from '../../../shared/formats/csv.ts';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import auditContract from '../../../shared/jobs/fairness.audit.ts';
import correctContract from '../../../shared/jobs/fairness.correct.ts';
import layerContract from '../../../shared/jobs/fairness.edit_layer.ts';
import gatedContract from '../../../shared/jobs/fairness.fit_gated.ts';
import predictContract from '../../../shared/jobs/fairness.predict.ts';
import { stream } from '../../../shared/math/random.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { ART, asInput, jobsOfFile } from './support/run-job.ts';

const { runJob, upload } = jobsOfFile();
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

describe('fairness.edit_layer', () => {
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
    const { outcome, files, progress } = await runJob(layerContract, editLayer, params);
    const result = outcome.result;
    expect(result.predictor).toBe(await manifestId(outcome.published[0]!));
    expect(result.points[result.chosen]!.validation.mse).toBeLessThanOrEqual(result.points[0]!.validation.mse * 1.15);
    expect(result.points.map((p) => p.method)).toContain('barycentre with the true group');
    expect(progress.every((f) => f >= 0 && f <= 1)).toBe(true);
    expect([...files.keys()]).toEqual(['predictor.json', 'frontier.svg', 'distributions.svg']);
    const csv = writeCsv([
      { name: 'x1', values: columns.x1 },
      { name: 'x2', values: columns.x2 },
      { name: 'kind', values: columns.kind },
    ]);
    const inputs = { [ART]: upload('rows.csv', csv), [result.predictor]: asInput(outcome.published[0]!, files) };
    const predicted = await runJob(
      predictContract,
      predict,
      { table: { artefact: ART }, predictor: result.predictor },
      inputs,
    );
    const table = readCsv(readFileSync(predicted.files.get('predictions.csv')!.path));
    expect(table.rows).toBe(n);
    const again = await runJob(layerContract, editLayer, params);
    expect(again.outcome.result.predictor).toBe(result.predictor);
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
    const network = (inputs: number, width = 8) =>
      upload(
        'net.safetensors',
        writeSafetensors([
          tensor('0.weight', [width, inputs]),
          tensor('0.bias', [width]),
          tensor('2.weight', [1, width]),
          tensor('2.bias', [1]),
        ]),
      );
    const imported = { ...params, network: { safetensors: ART } };
    const run = (file: HandlerInput) => runJob(layerContract, editLayer, imported, { [ART]: file });
    const { outcome } = await run(network(5));
    const { points } = outcome.result;
    expect(points).toHaveLength(1 + 3 + 3 + 3);
    const initializer = (name: string, dims: number[]): OnnxTensor => {
      const { bytes } = tensor(name, dims);
      return { name, type: 'float32', dims, data: { raw: bytes } };
    };
    const graph = {
      name: 'net',
      inputs: [{ name: 'x', type: 'float32', shape: ['n', 5] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', 1] }],
      initializers: [
        initializer('0.weight', [8, 5]),
        initializer('0.bias', [8]),
        initializer('2.weight', [1, 8]),
        initializer('2.bias', [1]),
      ],
      nodes: [
        { type: 'Gemm', inputs: ['x', '0.weight', '0.bias'], outputs: ['h'], attributes: { transB: 1 } },
        { type: 'Relu', inputs: ['h'], outputs: ['r'] },
        { type: 'Gemm', inputs: ['r', '2.weight', '2.bias'], outputs: ['y'], attributes: { transB: 1 } },
      ],
    } as OnnxGraph;
    const onnx = { ...params, network: { onnx: ART } };
    const same = await runJob(layerContract, editLayer, onnx, {
      [ART]: upload('net.onnx', encodeModel(graph)),
    });
    expect(same.outcome.result.points).toEqual(points);
    const single = upload('net.safetensors', writeSafetensors([tensor('0.weight', [1, 5])]));
    for (const [message, file] of [
      [/takes 4 features, the table gives 5/, network(4)],
      [/at most 1024 x 4096 are published/, network(5, 1025)],
      [/2 to 16 can be edited/, single],
      [/not readable as safetensors/, upload('x', 'junk')],
    ] as const) {
      const refused = expect(run(file)).rejects;
      await refused.toMatchObject({ code: 'data_invalid', message: expect.stringMatching(message) });
    }
  });

  it('refuses tables it cannot use', async () => {
    const one = { ...params, table: { columns: { ...columns, g: columns.g.map(() => 'a'), y } } };
    await expect(runJob(layerContract, editLayer, one)).rejects.toThrow(/one group only/);
    await expect(
      runJob(layerContract, editLayer, { ...params, target: 'kind', features: { columns: ['x1'] } }),
    ).rejects.toThrow(/numbers are needed/);
    await expect(runJob(layerContract, editLayer, { ...params, target: 'nothing' })).rejects.toThrow(
      /no column "nothing"/,
    );
    const changed = (change: object) =>
      runJob(layerContract, editLayer, { ...params, table: { columns: { ...columns, y, ...change } } });
    // Their squares overflow: standardised by an infinite deviation, such a feature would silently be 0.
    for (const name of ['x1', 'y']) {
      const huge = columns.x1.map((v) => v * 1e200);
      await expect(changed({ [name]: huge })).rejects.toMatchObject({ errors: [{ code: 'value_out_of_range' }] });
    }
    // Rows without a value are left out; the others keep the caller's numbers.
    const gaps = columns.x1.map((v, i) => (i < 4 ? null : v));
    const large = y.map((v, i) => (i === 7 ? 1e200 : v));
    await expect(changed({ x1: gaps, y: large })).rejects.toMatchObject({
      errors: [{ code: 'value_out_of_range', pointer: '/columns/y/7' }],
    });
    const none = { table: { columns: { x1: [], x2: [], kind: [], g: [], y: [] } } };
    await expect(runJob(layerContract, editLayer, { ...params, ...none })).rejects.toThrow(/no rows/);
    const twice = upload('twice.csv', 'x1,x2,kind,g,y,y\n1,2,p,a,1,2\n');
    await expect(
      runJob(layerContract, editLayer, { ...params, table: { artefact: ART } }, { [ART]: twice }),
    ).rejects.toThrow(/two different columns are called "y"/);
  });
});

describe('contracts of fairness jobs', () => {
  const regression = { table: { columns: {} }, target: 'y', group: 'g', features };
  const gated = { table: { columns: {} }, label: 'y', features };
  it.each([
    ['features.columns.1', layerContract, { ...regression, features: { columns: ['x', 'x'] } }],
    ['features.columns.0', layerContract, { ...regression, features: { columns: ['y', 'x'] } }],
    ['features.columns.1', layerContract, { ...regression, features: { columns: ['x', 'g'] } }],
    ['features.columns.0', gatedContract, { ...gated, features: { columns: ['y'] } }],
    ['demographics.1', gatedContract, { ...gated, demographics: ['g', 'g'] }],
    ['groups.1', auditContract, { table: { columns: {} }, prediction: 'p', groups: ['g', 'g'] }],
  ] as const)('refuse columns listed twice and targets among features, at %s', (path, contract, given) => {
    expect(contract.params.safeParse(given).error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  });
});

describe('fairness.fit_gated', () => {
  it('learns groups without demographics and reports what they get', async () => {
    const [x1, x2] = [0, 1].map((j) =>
      Array.from({ length: 1600 }, (_, i) => stream(2, 'xor').uniform(1, { start: 2 * i + j, low: -1 })[0]!),
    ) as [number[], number[]];
    const label = x1.map((x, i) => (x * x2[i]! > 0 ? 'yes' : 'no'));
    const side = x1.map((x, i) => (i % 160 === 0 ? 'rare' : x > 0 ? 'right' : 'left'));
    const { outcome, files } = await runJob(gatedContract, fitGated, {
      table: { columns: { x1, x2, label, side } },
      label: 'label',
      positive: 'yes',
      features: { columns: ['x1', 'x2'] },
      demographics: ['side'],
      groups: [2],
      restarts: 3,
      steps: 250,
    });
    const result = outcome.result;
    expect(result.groups).toBe(2);
    const by = Object.fromEntries(result.methods.map((m) => [m.method, m]));
    expect(by.guarded!.accuracy).toBeGreaterThan(0.95);
    expect(by.pooled!.accuracy).toBeLessThan(0.65);
    expect(by.decoupled!.needs_demographics).toBe(true);
    expect(result.preferences.without_harm_rate).toBe(1);
    expect(result.excluded).toEqual([{ attribute: 'side', level: 'rare', count: expect.any(Number) }]);
    expect(result.preferences.demographics).toMatchObject([{ groups: [{ harmed: false }, { harmed: false }] }]);
    const inputs = { [result.predictor]: asInput(outcome.published[0]!, files) };
    const predicted = await runJob(
      predictContract,
      predict,
      { table: { columns: { x1, x2 } }, predictor: result.predictor, format: 'arrow' },
      inputs,
    );
    expect(predicted.outcome.result).toMatchObject({ columns: ['score', 'routed'] });
    await expect(
      runJob(gatedContract, fitGated, {
        table: { columns: { x1, label } },
        label: 'label',
        features: { columns: ['x1'] },
      }),
    ).rejects.toThrow(/numbers are needed/);
  }, 60_000);

  it('reports of groups that parts of the split miss: excluded with their count, and a result that fits its contract', async () => {
    const side = columns.x1.map((_, i) => (i === 7 ? 'alone' : i < 3 ? 'few' : columns.g[i]!));
    const label = y.map((v) => Number(v > 0));
    const missing = [];
    for (let seed = 0; seed < 6; seed++) {
      const { outcome } = await runJob(gatedContract, fitGated, {
        table: { columns: { ...columns, side, label } },
        label: 'label',
        features: { columns: ['x1', 'x2'] },
        demographics: ['side', 'kind'],
        groups: [3],
        restarts: 1,
        steps: 20,
        seed,
      });
      const report = outcome.result.preferences as ReturnType<typeof preferencesReport>;
      const [bySide] = report.demographics;
      expect(bySide!.excluded.map(({ level }) => level)).toEqual(['alone', 'few']);
      missing.push(...outcome.result.excluded.filter(({ count }) => count === 0));
      expect(bySide!.groups.every(({ rationality }) => rationality.estimate !== null)).toBe(true);
      expect(report.groups).toHaveLength(outcome.result.groups);
      const kept = JSON.parse(JSON.stringify(outcome.result));
      expect(gatedContract.result.parse(kept)).toEqual(kept);
      for (const { count, rationality } of report.groups) {
        expect(rationality.estimate === null).toBe(count === 0);
        expect(rationality.reason === undefined).toBe(count > 0);
      }
    }
    expect(missing.length).toBeGreaterThan(0);
  }, 60_000);
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
    const result = outcome.result;
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

  it('takes weights, controls, a reference and neighbours from columns, and plots calibration', async () => {
    const score = y.map((v) => 1 / (1 + Math.exp(-v)));
    const { outcome, files } = await runJob(auditContract, audit, {
      table: {
        columns: {
          ...columns,
          score,
          truth: score.map((p, i) => ((i * 37) % 100 < 100 * p ? 1 : 0)),
          weight: score.map((_, i) => 1 + (i % 3)),
        },
      },
      task: 'classification',
      prediction: 'score',
      label: 'truth',
      groups: ['g'],
      weights: 'weight',
      controls: ['kind'],
      reference: { g: 'b' },
      consistency: { columns: ['x1', 'x2'] },
      draws: 20,
      permutations: 20,
    });
    expect(outcome.result.plots).toEqual(['distributions-0.svg', 'gaps-0.svg', 'calibration-0.svg']);
    expect(readFileSync(files.get('calibration-0.svg')!.path, 'utf8')).not.toMatch(/NaN|Infinity|undefined/);
    expect(outcome.result.ratios.g!.map((one) => one.metric)).toContain('equalized_odds_ratio');
    const report = JSON.parse(readFileSync(files.get('report.json')!.path, 'utf8'));
    expect(report.attributes[0]).toMatchObject({ reference: 'b', conditional: { control: 'kind' } });
    expect(report.individual.consistency[0].estimate).toBeGreaterThan(0.5);
  });
});

describe('fairness.correct', () => {
  const scores = y.map((v) => 1 / (1 + Math.exp(-v)));
  const request = {
    method: 'group_thresholds',
    scores,
    labels: scores.map((p, i) => ((i * 37) % 100 < 100 * p ? 1 : 0)),
    groups: columns.g,
    attribute: 'g',
    column: 'score',
  };

  it('carries out what the edge would, by the same document, and publishes a predictor', async () => {
    const inputs = { [ART]: upload('correction.json', JSON.stringify(request)) };
    const { outcome, files } = await runJob(correctContract, correct, { correction: { artefact: ART } }, inputs);
    expect(outcome.result).toMatchObject({ method: 'group_thresholds', artefact: 'answer.json', corrected: true });
    const answer = JSON.parse(readFileSync(files.get('answer.json')!.path, 'utf8'));
    expect(outcome.result.predictor).toBe(await manifestId(outcome.published[0]!));
    const table = { columns: { g: columns.g, score: scores } };
    const predicted = await runJob(
      predictContract,
      predict,
      { table, predictor: outcome.result.predictor },
      { [outcome.result.predictor!]: asInput(outcome.published[0]!, files) },
    );
    const read = readCsv(readFileSync(predicted.files.get('predictions.csv')!.path));
    expect(read.columns.map(({ name }) => name)).toEqual(['score', 'decision']);
    expect([...(read.columns[1] as { values: Float64Array }).values]).toEqual(answer.decisions);
  });

  it('takes layers wider than the edge does, and says where nothing was corrected', async () => {
    const d = 70;
    const one = (at: number) => Array.from({ length: d }, (_, j) => Number(j === at));
    const identity = Array.from({ length: d }, (_, j) => one(j));
    const moments = [0, 0].map((mean) => ({ count: 100, mean: new Array(d).fill(mean), covariance: identity }));
    const correction = { method: 'layer_mean', weights: [one(0)], data: { moments } };
    const { outcome, files } = await runJob(correctContract, correct, { correction });
    expect(outcome.result).toMatchObject({ predictor: null, corrected: false });
    expect(JSON.parse(readFileSync(files.get('answer.json')!.path, 'utf8')).weights).toEqual([one(0)]);
  });

  it('refuses a file that is no correction, without a cell of it', async () => {
    for (const [message, file] of [
      [/not JSON/, '{'],
      [/the uploaded correction is none/, JSON.stringify({ ...request, scores: ['canary'] })],
      [/1 groups/, JSON.stringify({ ...request, groups: columns.g.map(() => 'canary') })],
    ] as const) {
      const inputs = { [ART]: upload('correction.json', file) };
      const refused = runJob(correctContract, correct, { correction: { artefact: ART } }, inputs);
      await expect(refused).rejects.toMatchObject({ code: 'data_invalid', message: expect.stringMatching(message) });
      await expect(refused).rejects.not.toMatchObject({ message: expect.stringMatching(/canary/) });
    }
  });
});
