/** `verify -- block-sparse DIR`: masked sums of Kronecker products against reference values, with the product's own code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, type Safetensors } from '../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../shared/formats/safetensors-values.ts';
import { layerCounts } from '../block-sparse/counts/counts.ts';
import { deitTinyParameters } from '../block-sparse/counts/deit.ts';
import { criticalLambda, idleTile, rateSum } from '../block-sparse/layer/critical-lambda.ts';
import { builtWeight, type FactorTensors, kroneckerProduct } from '../block-sparse/layer/layer.ts';
import { lassoStep } from '../block-sparse/layer/shrinkage.ts';
import { patternPenalty, patternShrinkage, summedProduct, summedWeight } from '../block-sparse/layer/size-search.ts';
import { toBlockCsr } from '../block-sparse/tiles/block-csr.ts';
import { denseWeight, factorise } from '../block-sparse/tiles/factors.ts';
import { gridOf, zeroTiles } from '../block-sparse/tiles/tiles.ts';
import * as g from '../graph/index.ts';
import { sgd } from '../nn/index.ts';
import { Session } from '../runtime/index.ts';
import { decoupledDecay, fromSteps, Trainer } from '../training/index.ts';
import { type Device, Report } from './report.ts';

const count = z.number().int().positive();
const countsSchema = z.looseObject({ I: count, O: count, m: count, n: count, r: count });
const lambdaSchema = z.looseObject({
  S0: z.number(),
  momentum: z.number(),
  lr0: z.number(),
  steps: count,
  schedule: z.enum(['cosine', 'constant']),
  lambda_crit: z.number(),
});
const expectedSchema = z.looseObject({
  cases: z.record(z.string(), z.looseObject({ zero_tiles: z.number(), counts: countsSchema })),
  prox: z.array(z.looseObject({ lambda: z.number(), lr: z.number(), momentum: z.number(), zeros: z.number() })),
  trace: z.looseObject({
    steps: count,
    lr0: z.number(),
    lambda: z.number(),
    momentum: z.number(),
    decay: z.number(),
    loss: z.array(z.number()),
    zero_tiles: z.array(z.number()),
  }),
  lambda_crit: z.array(lambdaSchema),
  counts: z.array(countsSchema),
  patterns: z.looseObject({
    I: count,
    O: count,
    r: count,
    lambda1: z.number(),
    lambda2: z.number(),
    lr: z.number(),
    ramp: z.number(),
    patterns: z.array(z.looseObject({ m: count, n: count, penalty: z.number(), alive_after: z.boolean() })),
    penalty: z.number(),
    macs: z.number(),
  }),
  factorise: z.looseObject({
    p: count,
    m: count,
    q: count,
    n: count,
    rank: count,
    truncation: z.array(z.looseObject({ r: count, relative_error: z.number() })),
  }),
});
type Expected = z.output<typeof expectedSchema>;
type Run = (outputs: Readonly<Record<string, g.Tensor>>, file: Safetensors) => Promise<Record<string, Float32Array>>;

export async function compareBlockSparse(dir: string, device: Device): Promise<Report> {
  const report = new Report('block-sparse', dir, device);
  const read = (name: string): Safetensors => readSafetensors(readFileSync(join(dir, `${name}.safetensors`)));
  const expected = expectedSchema.parse(JSON.parse(readFileSync(join(dir, 'expected.json'), 'utf8')));
  const run: Run = (outputs, file) => runOn(device, outputs, file);
  const files = readdirSync(dir).filter((name) => name.endsWith('.safetensors'));
  const stems = files.map((name) => name.slice(0, -'.safetensors'.length)).sort();
  const zeros = new Map<string, number>();
  for (const stem of stems.filter((name) => name.startsWith('layer-'))) {
    const weight = await compareLayer(report, stem, read(stem), run);
    zeros.set(stem, zeroTiles(weight, gridOfFile(read(stem))));
  }
  for (const stem of stems.filter((name) => name.startsWith('bsr-'))) {
    compareBlockCsr(report, stem, read(stem), read(stem.slice('bsr-'.length)));
  }
  await compareProx(report, read('prox'), expected, run);
  await compareTrace(report, read('trace'), expected);
  compareLambda(report, expected);
  await comparePatterns(report, read('patterns'), expected, run);
  compareFactorisation(report, read('factorise'), expected);
  compareCounts(report, expected, zeros);
  return report;
}

/** Outputs of a graph whose leaves are tensors of the file. */
async function runOn(device: Device, outputs: Readonly<Record<string, g.Tensor>>, file: Safetensors) {
  const program = g.compile(outputs, { name: 'block_sparse', target: device });
  const session = await Session.create(program, { provider: device });
  try {
    const feeds = program.inputs.map(
      ({ name }) => [name, { shape: file.shape(name), data: file.float32(name) }] as const,
    );
    const results = await session.run(Object.fromEntries(feeds));
    return Object.fromEntries(
      Object.keys(outputs).map((key, i) => [key, Float32Array.from(results[program.outputs[i]!.name]!.data, Number)]),
    );
  } finally {
    await session.release();
  }
}

const leaf = (file: Safetensors, name: string): g.Tensor => g.parameter(name, file.shape(name));
const factorsOf = (file: Safetensors, prefix = ''): FactorTensors => ({
  s: leaf(file, `${prefix}S`),
  a: leaf(file, `${prefix}A`),
  b: leaf(file, `${prefix}B`),
});
const gridOfFile = (file: Safetensors) => {
  const [p, q] = file.shape('S') as [number, number];
  const [, m, n] = file.shape('B') as [number, number, number];
  return { p, q, m, n };
};
const hostFactors = (file: Safetensors) => ({
  grid: gridOfFile(file),
  rank: file.shape('A')[0]!,
  s: file.float32('S'),
  a: file.float32('A'),
  b: file.float32('B'),
});

async function compareLayer(report: Report, stem: string, file: Safetensors, run: Run): Promise<Float32Array> {
  const factors = factorsOf(file);
  const [x, bias] = [leaf(file, 'x'), leaf(file, 'bias')];
  const y = g.add(kroneckerProduct(x, factors), bias);
  const by = { x, S: factors.s, A: factors.a, B: factors.b, bias };
  const gradients = g.gradients(g.sum(g.mul(y, leaf(file, 'gy'))), Object.values(by));
  const slopes = Object.fromEntries(Object.keys(by).map((name, i) => [`grad.${name}`, gradients[i]!]));
  const found = await run({ y, W: builtWeight(factors), ...slopes }, file);
  for (const [name, values] of Object.entries(found)) {
    report.item(`${stem}/${name}`, values, file.float32(name), 1e-5);
  }
  return found.W!;
}

function compareBlockCsr(report: Report, stem: string, stored: Safetensors, source: Safetensors): void {
  const factors = hostFactors(source);
  const found = toBlockCsr(Float32Array.from(denseWeight(factors)), factors.grid);
  report.item(`${stem}/values`, found.values, stored.float32('values'), 1e-6);
  const same = (name: string, values: BigInt64Array) =>
    toFloat64(stored.bytes(name), stored.header.tensors.get(name)!.dtype).join() === values.join();
  report.exact(`${stem}/indices`, same('crow_indices', found.crowIndices) && same('col_indices', found.colIndices));
}

async function compareProx(report: Report, file: Safetensors, { prox }: Expected, run: Run): Promise<void> {
  const s = leaf(file, 'S');
  const outputs = prox.map(({ lambda, lr, momentum }, i) => {
    const step = { rate: g.scalar(lr), before: s };
    return [`after${i}`, lassoStep('S', { lambda, momentum }).parameter!(s, step)] as const;
  });
  const found = await run(Object.fromEntries(outputs), file);
  for (const [name, values] of Object.entries(found)) {
    report.item(`prox/${name}`, values, file.float32(name), 1e-6);
  }
  const zeros = prox.map((_, i) => found[`after${i}`]!.filter((value) => value === 0).length);
  report.exact(
    'prox/zeros',
    zeros.every((value, i) => value === prox[i]!.zeros),
  );
}

async function compareTrace(report: Report, file: Safetensors, { trace }: Expected): Promise<void> {
  const [x, target] = ['x', 'target'].map((name) => g.input(name, file.shape(name))) as [g.Tensor, g.Tensor];
  const parameter = (name: string) => g.parameter(name, file.shape(`start.${name}`));
  const [s, a, b, bias] = ['S', 'A', 'B', 'bias'].map(parameter) as [g.Tensor, g.Tensor, g.Tensor, g.Tensor];
  const y = g.add(kroneckerProduct(x, { s, a, b }), bias);
  const trainer = await Trainer.create({
    name: 'trace',
    loss: g.meanSquaredError(y, target),
    optimiser: sgd({ momentum: trace.momentum }),
    rate: (step) => ratesOf({ ...trace, schedule: 'cosine' })[step - 1]!,
    constraints: [
      decoupledDecay(/^[AB]$/, trace.decay),
      lassoStep('S', { lambda: trace.lambda, momentum: trace.momentum }),
    ],
    shared: ['x', 'target'],
    initial: Object.fromEntries(['S', 'A', 'B', 'bias'].map((name) => [name, file.float32(`start.${name}`)])),
    provider: report.device,
  });
  const feeds = { x: file.float32('x'), target: file.float32('target') };
  const [losses, zeros] = [[] as number[], [] as number[]];
  try {
    for await (const { metrics } of trainer.run(fromSteps(trace.steps, 1, () => feeds))) {
      losses.push(metrics.loss[0]!);
      const now = await trainer.parameters();
      zeros.push(Array.from(now.S!.data, Number).filter((value) => value === 0).length);
      for (const [name, { data }] of Object.entries(now)) {
        const stored = `step${trainer.step}.${name}`;
        if (!file.header.tensors.has(stored)) {
          continue;
        }
        report.item(`trace/${stored}`, Array.from(data, Number), file.float32(stored), 1e-4);
      }
    }
  } finally {
    await trainer.release();
  }
  report.item('trace/loss', losses, trace.loss, 1e-4);
  report.exact('trace/zero_tiles', zeros.join() === trace.zero_tiles.join());
}

const ratesOf = (of: { lr0: number; steps: number; schedule: 'cosine' | 'constant' }): number[] =>
  Array.from({ length: of.steps }, (_, k) =>
    of.schedule === 'constant' ? of.lr0 : of.lr0 * 0.5 * (1 + Math.cos((Math.PI * k) / of.steps)),
  );

function compareLambda(report: Report, { lambda_crit }: Expected): void {
  const schedules = lambda_crit.map((of) => ({ rates: ratesOf(of), momentum: of.momentum }));
  const found = schedules.map((schedule, i) => criticalLambda(schedule, lambda_crit[i]!.S0));
  report.item(
    'lambda_crit/value',
    found,
    lambda_crit.map((of) => of.lambda_crit),
    1e-12,
  );
  schedules.forEach((schedule, i) => {
    const left = [0.5, 0.99, 1.01].map((share) => idleTile(schedule, share * found[i]!, lambda_crit[i]!.S0));
    report.note(
      `lambda_crit/${i}`,
      `sum of rates ${rateSum(schedule)}; an idle tile at 0.5, 0.99, 1.01 of it: ${left.join(', ')}`,
    );
  });
}

async function comparePatterns(report: Report, file: Safetensors, expected: Expected, run: Run): Promise<void> {
  const { patterns, lambda1, lambda2, lr, ramp, penalty } = expected.patterns;
  const factors = patterns.map((_, k) => factorsOf(file, `${k}.`));
  const penalties = factors.map(({ s }) => patternPenalty(s, lambda1, lambda2));
  const slopes = g.gradients(
    g.addAll(penalties),
    factors.map(({ s }) => s),
  );
  const outputs: Record<string, g.Tensor> = {
    y: summedProduct(leaf(file, 'x'), factors),
    W: summedWeight(factors),
    penalty: g.addAll(penalties),
  };
  factors.forEach(({ s }, k) => {
    outputs[`${k}.penalty`] = penalties[k]!;
    outputs[`${k}.grad.S`] = slopes[k]!;
    outputs[`${k}.after`] = patternShrinkage(s, lr * lambda1 * ramp, lr * lambda2 * ramp).after;
  });
  const found = await run(outputs, file);
  for (const [name, values] of Object.entries(found)) {
    if (!name.endsWith('penalty')) {
      report.item(`patterns/${name}`, values, file.float32(name), 1e-5);
    }
  }
  const each = [found.penalty!, ...patterns.map((_, k) => found[`${k}.penalty`]!)].map(([value]) => value!);
  report.item('patterns/penalty', each, [penalty, ...patterns.map((pattern) => pattern.penalty)], 1e-5);
  const alive = patterns.map((_, k) => found[`${k}.after`]!.some((value) => value !== 0));
  report.exact(
    'patterns/alive',
    alive.every((value, k) => value === patterns[k]!.alive_after),
  );
}

function compareFactorisation(report: Report, file: Safetensors, expected: Expected): void {
  const { p, q, m, n, rank, truncation } = expected.factorise;
  const grid = { p, q, m, n };
  const sparse = factorise(file.float32('block_sparse'), grid);
  const dense = factorise(file.float32('dense'), grid);
  const rebuilt = denseWeight(sparse.fit(sparse.rank));
  report.item('factorise/block_sparse', rebuilt, file.float32('block_sparse'), 1e-5);
  report.exact('factorise/rank', sparse.rank === rank);
  for (const { r } of truncation) {
    report.item(`factorise/fit.r${r}`, denseWeight(dense.fit(r)), file.float32(`fit.r${r}`), 1e-4);
  }
  report.item(
    'factorise/errors',
    truncation.map(({ r }) => dense.error(r)),
    truncation.map((of) => of.relative_error),
    1e-4,
  );
}

/** The reference's names for a layer's counts. */
function namedCounts({ I, O, m, n, r }: z.output<typeof countsSchema>): Record<string, number | string> {
  const found = layerCounts(gridOf(I, O, [m, n]), r);
  return {
    ...{ I, O, m, n, r },
    params: found.parameters,
    dense_params: found.denseParameters,
    macs_b_first: found.bFirst,
    macs_a_first: found.aFirst,
    macs: found.macs,
    order: found.order === 'a-first' ? 'A' : 'B',
    dense_macs: found.denseMacs,
    flops: 2 * found.macs,
    backward_macs: found.backwardMacs,
    params_ratio: found.parameters / found.denseParameters,
    macs_ratio: found.macs / found.denseMacs,
  };
}

function compareCounts(report: Report, expected: Expected, zeros: ReadonlyMap<string, number>): void {
  const { cases, counts, patterns } = expected;
  const wrong: string[] = [];
  const compare = (what: string, of: z.output<typeof countsSchema>) => {
    const found = namedCounts(of);
    for (const [key, value] of Object.entries(of)) {
      if (found[key] !== value) {
        wrong.push(`${what}.${key}: ${found[key]} instead of ${value}`);
      }
    }
  };
  counts.forEach((of, i) => {
    compare(`counts.${i}`, of);
  });
  for (const [name, { counts: of, zero_tiles }] of Object.entries(cases)) {
    compare(name, of);
    if (zeros.get(name) !== zero_tiles) {
      wrong.push(`${name}.zero_tiles: ${zeros.get(name)} instead of ${zero_tiles}`);
    }
  }
  const { I, O, r } = patterns;
  const macs = patterns.patterns.reduce((sum, { m, n }) => sum + layerCounts(gridOf(I, O, [m, n]), r).bFirst, 0);
  if (macs !== patterns.macs) {
    wrong.push(`patterns.macs: ${macs} instead of ${patterns.macs}`);
  }
  report.exact('counts/all', wrong.length === 0);
  if (wrong.length > 0) {
    report.note('counts/all', wrong.join('; '));
  }
  const deit = [{ tile: [4, 4], rank: 4 } as const, { tile: [8, 8], rank: 4 } as const, null].map(deitTinyParameters);
  report.exact('counts/deit', deit.join() === '1884116,662308,5543716');
  report.note('counts/deit', `4 x 4 and 8 x 8 tiles of rank 4, dense: ${deit.join(', ')}`);
}
