/**
 * `npm run bench -- fairness [--calibrate]`: rows per second of each predictor in the kernel and with each format, an audit of
 * 100,000 rows with 1,000 bootstrap draws beside the same in numpy, corrections at widths 8 to 64, all in CPU time. `--calibrate` writes the
 * unit costs by which the edge decides what it takes on; a run without it shows those estimates beside measurements.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { layOut } from '../../shared/fairness/audit/layout.ts';
import { permutationTests } from '../../shared/fairness/audit/permutation.ts';
import { auditStatistics } from '../../shared/fairness/audit/statistics.ts';
import { auditMs, layerMs, predictionMs } from '../../shared/fairness/costs.ts';
import { predictGated } from '../../shared/fairness/gated/predictor.ts';
import { compileLookahead, predictLookahead } from '../../shared/fairness/lookahead/predictor.ts';
import type { GroupMoments } from '../../shared/fairness/moments.ts';
import { compilePredictor, gatedOf } from '../../shared/fairness/predictors/compile.ts';
import type { GatedDocument, PredictorDocument } from '../../shared/fairness/predictors/document.ts';
import { type DenseNetwork, forwardNetwork } from '../../shared/fairness/predictors/network.ts';
import { correctLayer } from '../../shared/fairness/spectral/layer.ts';
import { readArrow } from '../../shared/formats/arrow.ts';
import { readCsv, writeCsv } from '../../shared/formats/csv.ts';
import { tableFromColumns } from '../../shared/formats/json-table.ts';
import { symmetricEigen } from '../../shared/math/decompositions.ts';
import { type Matrix, matrix, multiply, multiplyTransposed } from '../../shared/math/matrix.ts';
import { stream } from '../../shared/math/random.ts';
import { bootstrapIntervals, drawWeights } from '../../shared/math/resample.ts';
import { asScm, referenceModel } from '../support/reference-scm.ts';

/** CPU time of this process in seconds: the work is single-threaded, and other processes must not count. */
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Least CPU time of several runs, in seconds, after two to warm up. */
function best(work: () => void, runs = 7): number {
  work();
  work();
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const began = cpuSeconds();
    work();
    least = Math.min(least, cpuSeconds() - began);
  }
  return least;
}
const random = (n: number, name: string): Float64Array => stream(1, name).normal(n);
const figures: { what: string; figure: string }[] = [];
function say(what: string, figure: string): void {
  figures.push({ what, figure });
  console.log(`${what.padEnd(84)} ${figure}`);
}
const perSecond = (n: number, seconds: number): string => `${(n / seconds / 1e6).toFixed(2)} million/s`;

const FEATURES = 10;
const rowsOf = (k: number, width: number, name: string): number[][] =>
  Array.from({ length: k }, (_, i) => [...random(width, `${name}${i}`)]);
const gatedDocument = (groups: number): GatedDocument => ({
  kind: 'gated',
  inputs: Array.from({ length: FEATURES }, (_, j) => ({
    kind: 'number',
    name: `x${j}`,
    mean: 0,
    scale: 1,
    missing: null,
  })),
  link: 'logistic',
  gate: rowsOf(groups, FEATURES + 1, 'gate'),
  heads: rowsOf(groups, FEATURES + 1, 'head'),
  pooled: [...random(FEATURES + 1, 'pooled')],
});
const denseNetwork = (widths: readonly number[]): DenseNetwork =>
  widths.slice(1).map((outputs, l) => ({
    inputs: widths[l]!,
    outputs,
    weights: random(outputs * widths[l]!, `w${l}`),
    bias: random(outputs, `b${l}`),
    activation: outputs === 1 ? 'identity' : 'relu',
  }));

function predictors(): void {
  const n = 200_000;
  const x = random(n * FEATURES, 'x');
  const [scores, routed] = [new Float64Array(n), new Uint8Array(n)];
  for (const groups of [2, 4, 8]) {
    const predictor = gatedOf(gatedDocument(groups));
    say(
      `gate + heads, 10 features, K = ${groups}, kernel`,
      perSecond(
        n,
        best(() => predictGated(predictor, x, scores, routed)),
      ),
    );
  }
  const model = referenceModel();
  const compiled = compileLookahead({
    scm: asScm(model),
    eta: 10,
    rho: 1,
    statusObserved: false,
    noise: { mean: 0.5, variance: 1 / 12 },
    p2: 1,
    p3: 0,
    free: { x0: 1, x5: 2 },
  });
  const groupIds = stream(1, 'groupIds').integers(n, 2);
  say(
    'lookahead, 10 features, kernel',
    perSecond(
      n,
      best(() => predictLookahead(compiled, x, groupIds, scores)),
    ),
  );
  for (const widths of [
    [10, 16, 16, 1],
    [10, 64, 64, 1],
  ]) {
    const network = denseNetwork(widths);
    const rows = 20_000;
    say(
      `edited network ${widths.join('-')}, kernel`,
      perSecond(
        rows,
        best(() => void forwardNetwork(network, x.subarray(0, rows * FEATURES), rows)),
      ),
    );
  }
}

/** One document of every lookahead model, over columns x0 .. x9 (numbers above 0), n (counts) and g (labels). */
const lookaheadDocuments = (): Record<string, PredictorDocument> => {
  const score = { attribute: { name: 'g', labels: ['a', 'b'] }, eta: 1, rho: 1, p2: 0, p3: 0 };
  const noise = { mean: 0, variance: 1 };
  const features = Array.from({ length: FEATURES }, (_, j) => ({ name: `x${j}`, weight: 0.2, alpha: 1 }));
  const parents = Object.fromEntries(features.map(({ name, weight }) => [name, weight]));
  const variable = { intercept: 0, parents: {}, effects: [0, 1], scale: 1 };
  const child = (name: string) => ({ name, intercept: 0, effects: [0, 0.1], covariates: [], weight: 0.5 });
  const scm = {
    values: [0, 1],
    status: 'y',
    variables: [
      { ...variable, name: 'y', parents, intercept: 3, scale: 0 },
      ...features.map(({ name }) => ({ ...variable, name })),
    ],
  };
  const linear = { kind: 'lookahead' as const, ...score, scm, status_observed: false, noise, free: {} };
  const latent = {
    kind: 'lookahead_latent' as const,
    ...score,
    covariates: [],
    status: { ...child('y'), deviation: null },
    free: 0,
  };
  const gaussian = { ...child('x1'), family: 'gaussian' as const, deviation: 1 };
  return {
    'lookahead, linear': linear,
    'lookahead, curved status': { ...linear, curve: { scale: 1, exponent: 0.6 }, lowest: 1 },
    'lookahead, attribute scales': {
      kind: 'lookahead_multiplicative',
      ...score,
      values: [1, 2],
      features,
      status: { name: 'y', intercept: 0, gamma: 1 },
      status_observed: false,
      noise,
      free: 0,
    },
    'lookahead, latent with Gaussian children': { ...latent, children: [gaussian] },
    'lookahead, latent with a count': { ...latent, children: [gaussian, { ...child('n'), family: 'poisson' }] },
  };
};

/** The static operation count beside what the same work takes: what calibration is for. */
function estimates(): void {
  const n = 5000;
  const columns: Record<string, (number | string)[]> = {
    n: [...stream(1, 'counts').integers(n, 6)],
    g: Array.from({ length: n }, (_, i) => (i % 2 ? 'a' : 'b')),
  };
  for (let j = 0; j < FEATURES; j++) {
    columns[`x${j}`] = [...stream(1, `estimate${j}`).uniform(n, { low: 0.5, high: 2 })];
  }
  const table = tableFromColumns(columns);
  const compare = (what: string, estimate: number, work: () => void): void => {
    const measured = best(work, 5) * 1000;
    say(what, `estimated ${estimate.toFixed(1)} ms, measured ${measured.toFixed(1)} ms`);
  };
  for (const [name, document] of Object.entries({ 'gate + heads, K = 4': gatedDocument(4), ...lookaheadDocuments() })) {
    const predictor = compilePredictor(document);
    compare(`${n} rows, ${name}`, predictionMs(n, predictor.features, predictor.cost), () => {
      const { scores, presentGap, futureGap } = predictor.predict(table);
      JSON.stringify([[...scores], presentGap && [...presentGap], futureGap && [...futureGap]]);
    });
  }
  for (const width of [16, 64]) {
    const [w, groups] = [matrix(width, width, random(width * width, `w${width}`)), momentsOf(width)];
    compare(
      `both steps on a ${width} x ${width} layer`,
      layerMs(width, width, 2),
      () => void correctLayer(w, groups, { c1: 15, c2: 150 }),
    );
  }
  const { predictions, labels, rows, counts } = auditData(500);
  compare(
    'audit of 500 rows, 400 draws',
    auditMs({ rows: 500, groups: [2], draws: 400, permutations: 0, thresholds: 1, labelled: true, classified: false }),
    () => {
      const { keys, evaluate } = auditStatistics(
        layOut({ predictions, labels }, rows, counts, [0.5]),
        'classification',
      );
      bootstrapIntervals({ strata: counts, size: keys.length, evaluate, draws: 400, random: stream(1, 'estimate') });
    },
  );
}

function formats(): Record<'csvByte' | 'jsonByte' | 'arrowByte' | 'answerRow', number> {
  const n = 20_000;
  const names = Array.from({ length: FEATURES }, (_, j) => `x${j}`);
  const columns = Object.fromEntries(names.map((name) => [name, random(n, name).map((v) => Number(v.toFixed(6)))]));
  const csv = new TextEncoder().encode(writeCsv(names.map((name) => ({ name, values: columns[name]! }))));
  const json = JSON.stringify({ columns: Object.fromEntries(names.map((name) => [name, [...columns[name]!]])) });
  const arrow = tableToIPC(tableFromArrays(columns), { format: 'stream' })!;
  const predictor = compilePredictor(gatedDocument(4));
  const readers = {
    csv: { bytes: csv.length, read: () => readCsv(csv) },
    json: {
      bytes: json.length,
      read: () => tableFromColumns((JSON.parse(json) as { columns: Record<string, number[]> }).columns),
    },
    arrow: { bytes: arrow.length, read: () => readArrow(arrow) },
  };
  const cost: Record<string, number> = {};
  for (const [format, { bytes, read }] of Object.entries(readers)) {
    const reading = best(() => void read());
    cost[`${format}Byte`] = (reading * 1e9) / bytes;
    const whole = best(() => void JSON.stringify([...predictor.predict(read()).scores]));
    say(`${format}: read, predict (K = 4), answer as JSON; ${(bytes / n).toFixed(0)} bytes a row`, perSecond(n, whole));
  }
  const table = readers.csv.read();
  cost.answerRow = (best(() => void JSON.stringify([...predictor.predict(table).scores])) * 1e9) / n;
  return cost as ReturnType<typeof formats>;
}

/** The data of the numpy script: two groups, a score, a binary label. */
function auditData(n: number): {
  predictions: Float64Array;
  labels: Float64Array;
  rows: Uint32Array;
  counts: number[];
} {
  const u = stream(1, 'audit').uniform(2 * n);
  const z = random(n, 'scores');
  const second = Array.from({ length: n }, (_, i) => u[2 * i]! < 0.4);
  const predictions = z.map((v, i) => Math.min(1, Math.max(0, 0.45 + (second[i] ? 0.1 : 0) + 0.2 * v)));
  const labels = predictions.map((p, i) => Number(u[2 * i + 1]! < p));
  const order = (wanted: boolean): number[] => Array.from(second.keys()).filter((i) => second[i] === wanted);
  const groups = [order(false), order(true)];
  return { predictions, labels, rows: Uint32Array.from(groups.flat()), counts: groups.map((g) => g.length) };
}

function audits(): void {
  const [n, draws] = [100_000, 1000];
  const { predictions, labels, rows, counts } = auditData(n);
  const ready = cpuSeconds();
  const layout = layOut({ predictions, labels }, rows, counts, [0.5]);
  const { keys, evaluate } = auditStatistics(layout, 'classification');
  const intervals = bootstrapIntervals({
    strata: counts,
    size: keys.length,
    evaluate,
    draws,
    random: stream(1, 'bench'),
  });
  const seconds = cpuSeconds() - ready;
  const ks = intervals[keys.findIndex((key) => key.scope === 'all' && key.metric === 'ks')]!;
  say(
    `audit: 100,000 rows, 1,000 draws, ${keys.length} metrics, BCa intervals`,
    `${seconds.toFixed(1)} s (KS ${ks.low.toFixed(4)} to ${ks.high.toFixed(4)})`,
  );
  const measured = 50;
  const python = spawnSync('python3', [join(import.meta.dirname, 'fairness-numpy.py'), String(n), String(measured)], {
    encoding: 'utf8',
  });
  if (python.status !== 0) {
    say('the same with numpy', 'not available here');
    return;
  }
  const theirs = JSON.parse(python.stdout) as { seconds: number; numpy: string };
  const whole = (theirs.seconds / measured) * draws;
  say(
    `the same metrics with numpy ${theirs.numpy}, percentile intervals (${measured} draws, scaled)`,
    `${whole.toFixed(1)} s: ${(whole / seconds).toFixed(1)} times ours`,
  );
}

const momentsOf = (d: number): GroupMoments[] =>
  [0, 1].map((g) => {
    const mix = matrix(d, d, random(d * d, `mix${g}${d}`));
    return { count: 1000, mean: random(d, `mean${g}`), covariance: multiplyTransposed(mix, mix) };
  });

function corrections(): void {
  for (const width of [8, 16, 32, 64]) {
    const w = matrix(width, width, random(width * width, `w${width}`));
    const groups = momentsOf(width);
    const seconds = best(() => void correctLayer(w, groups, { c1: 15, c2: 150 }), 10);
    say(`both steps on a ${width} x ${width} layer, from moments`, `${(seconds * 1000).toFixed(2)} ms`);
  }
}

/** Unit costs in nanoseconds of CPU time on this machine. */
function calibrate(reading: ReturnType<typeof formats>): void {
  const n = 50_000;
  const { predictions, labels, rows, counts } = auditData(n);
  const layout = layOut({ predictions, labels }, rows, counts, [0.5]);
  const { keys, evaluate } = auditStatistics(layout, 'classification');
  const [words, weights, out] = [new Uint32Array(n), new Uint16Array(n), new Float64Array(keys.length)];
  const source = stream(1, 'calibrate');
  const per = (seconds: number, units: number): number => (seconds * 1e9) / units;
  const resampled = best(() => {
    source.fillWords(words);
    drawWeights(counts, words, weights);
  });
  // The statistics of this layout count as four passes: one per group, threshold, label and comparison.
  const statistic = best(() => evaluate(weights, out)) / 4;
  const permuted = best(() => void permutationTests(layout, layout.pairs[0]!, 'classification', 200, source), 2) / 200;
  const laidOut = best(() => void layOut({ predictions, labels }, rows, counts, [0.5]));
  const d = 64;
  const mix: Matrix = matrix(d, d, random(d * d, 'eigen'));
  const symmetric = multiplyTransposed(mix, mix);
  const x = random(n * FEATURES, 'x');
  const [scores, routed] = [new Float64Array(n), new Uint8Array(n)];
  const [few, many] = [gatedOf(gatedDocument(2)), gatedOf(gatedDocument(10))];
  const perRow = (p: typeof few): number => best(() => predictGated(p, x, scores, routed)) / n;
  const multiplyAdd = Math.max(0.2e-9, (perRow(many) - perRow(few)) / (8 * (FEATURES + 1)));
  const exponential =
    best(() => {
      for (let i = 0; i < n; i++) {
        scores[i] = 1 / (1 + Math.exp(-x[i]!));
      }
    }) / n;
  const units = {
    csvByte: reading.csvByte,
    jsonByte: reading.jsonByte,
    arrowByte: reading.arrowByte,
    multiplyAdd: 1e9 * multiplyAdd,
    exponential: 1e9 * exponential,
    answerRow: reading.answerRow,
    resampledRow: per(resampled, n),
    statisticRow: per(statistic, n),
    permutedRow: Math.max(0, per(permuted, n) - 3 * per(statistic, n)),
    sortedRow: per(laidOut, n),
    eigenCube: per(
      best(() => void symmetricEigen(symmetric)),
      d ** 3,
    ),
    matrixCube: per(
      best(() => void multiply(mix, mix)),
      d ** 3,
    ),
  };
  const lines = Object.entries(units).map(([name, value]) => `  ${name}: ${Number(value.toPrecision(3))},`);
  const text = `// Generated by \`npm run bench -- fairness --calibrate\`; do not edit.\n/** Nanoseconds of CPU time per unit of work on the machine of the calibration. */\nexport const UNIT_NS = {\n${lines.join('\n')}\n} as const;\n`;
  writeFileSync(join(import.meta.dirname, '../../shared/fairness/costs.generated.ts'), text);
  console.log(text);
}

export async function run(options: string[]): Promise<void> {
  console.log(`CPU time, one core of ${cpus()[0]?.model ?? 'an unknown CPU'}, Node ${process.version}`);
  predictors();
  const reading = formats();
  corrections();
  if (options.includes('--calibrate')) {
    return calibrate(reading);
  }
  estimates();
  audits();
  const host = { cpu: cpus()[0]?.model ?? null, node: process.version, measure: 'CPU time of one thread' };
  const file = join(import.meta.dirname, 'results/fairness.json');
  writeFileSync(file, `${JSON.stringify({ host, lines: figures }, null, 1)}\n`);
}
