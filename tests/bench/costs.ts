/**
 * `npm run bench -- costs [--calibrate] [--memory] [--missing] [--only TYPE,TYPE]`: processor time and peak memory of jobs of several
 * sizes, each in a process of its own, beside what their estimate says. `--calibrate` fits the unit costs anew and writes those
 * that estimates are made of; sizes that are marked as held take no part in the fit. `--memory` keeps the costs in time, which a
 * busy machine disturbs and memory not. `--missing` measures only sizes that no kept measurement is of; `--only` measures
 * and fits jobs of these types, and the others keep what they have. Linux.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { ALLOCATOR, YOUNG_OBJECTS } from '../../gpu-worker/worker/allocator.ts';
import type { Manifest } from '../../shared/contracts/manifest.ts';
import activationsExtract from '../../shared/jobs/activations.extract.ts';
import { UNIT_COSTS } from '../../shared/jobs/costs.generated.ts';
import { type ModelSizes, priceOf, type UnitCosts, type Work } from '../../shared/jobs/costs.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import saeTrain from '../../shared/jobs/sae.train.ts';
import { describe } from '../../shared/models/describe.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { LocalJobs } from '../support/job-context.ts';
import { CASES, type Case, type Folders, MODELS, standInIds, withIds, writeInputs } from './costs/cases.ts';
import { unitCosts } from './costs/fit.ts';
import type { Measured, Order } from './costs/measure.ts';

const UNITS = join(import.meta.dirname, '../../shared/jobs/costs.generated.ts');
const RESULTS = join(import.meta.dirname, 'results/costs.json');
/** Bytes of a bare process, and one byte held per byte counted: what is assumed where the sizes do not tell. */
const MEMORY_PRIORS = { process: 1e8 };
/** Latents per token of the autoencoders that jobs read. */
const K = 32;
const HOOK = 'resid_post.1';

type Row = { case: Case; work: Work; measured: Measured };
type Line = { type: string; sizes: string; held: boolean; cpu_s: number; peak_mb: number };

/** Extracts the rows that a job reads, in this process. */
async function withRows(jobs: LocalJobs, one: Case): Promise<Record<string, unknown>> {
  const params = await withSaes(jobs, one);
  if (!one.rows) {
    return params;
  }
  const { inputs, tokens } = one.rows;
  const asked = { model: { local: inputs }, hooks: [HOOK], corpus: { local: 'text' }, tokens, context: 96 };
  const { published } = await jobs.run(activationsExtract, asked);
  return { ...params, activations: [{ artefact: await manifestId(published[0]!) }] };
}

/** Trains the autoencoders that a job reads for one step, in this process. */
async function withSaes(jobs: LocalJobs, one: Case): Promise<Record<string, unknown>> {
  if (!one.saes) {
    return one.params;
  }
  const { inputs, widths } = one.saes;
  const params = {
    model: { local: inputs },
    hook: HOOK,
    corpus: { local: 'text' },
    saes: widths.map((width) => ({ variant: 'topk' as const, width, k: K })),
    steps: 1,
    batch: 256,
    evaluation_tokens: 256,
    feature_dashboards: false,
  };
  const { result } = await jobs.run(saeTrain, params);
  return withIds(
    one,
    result.saes.map(({ id }) => id),
  );
}

async function measure(one: Case, { models, corpora }: Folders): Promise<Measured> {
  // Waiting threads would count as working ones; generation shares its rows among threads that never wait.
  const configuration = { models, corpora, threads: one.type === 'lm.generate' ? 2 : 1 };
  const jobs = new LocalJobs(configuration);
  try {
    const params = JOB_CONTRACTS[one.type]?.params.parse(await withRows(jobs, one));
    const published = [...jobs.published];
    const files = published.flatMap(([, { blobs }]) => blobs.map(({ sha256 }) => join(jobs.folder, sha256)));
    const order: Order = { type: one.type, params, configuration, published, files: [...new Set(files)] };
    const file = join(jobs.folder, 'order.json');
    writeFileSync(file, JSON.stringify(order));
    const result = join(jobs.folder, 'measured.json');
    // As a worker starts its computations.
    const env = { ...ALLOCATOR, ...process.env };
    const script = join(import.meta.dirname, 'costs/measure.ts');
    execFileSync(process.execPath, [...YOUNG_OBJECTS, script, file, result], { stdio: 'inherit', env });
    return JSON.parse(readFileSync(result, 'utf8')) as Measured;
  } finally {
    jobs.close();
  }
}

const sizesOfModel = (name: string): ModelSizes => {
  const { layers, heads, width, vocabulary, context, parameters } = describe(MODELS[name]);
  return { layers, heads, width, vocabulary, context, parameters };
};
/** Of a job that trains a model from nothing: nothing of it is read. */
const NO_MODEL: ModelSizes = { layers: 1, heads: 1, width: 1, vocabulary: 1, context: 1, parameters: 1 };

/** What the contract counts for a case, as the edge would with the model described and the autoencoders published. */
function workOf(one: Case): Work {
  const { type, saes, rows } = one;
  const contract = JOB_CONTRACTS[type];
  if (!contract?.work) {
    throw new Error(`${type} counts no work`);
  }
  const activations = rows && [{ artefact: `rep_${'a'.repeat(52)}` }];
  const params = contract.params.parse({ ...withIds(one, standInIds(one)), ...(activations && { activations }) });
  const [use] = contract.models(params);
  const model = use && 'local' in use.reference ? sizesOfModel(use.reference.local) : NO_MODEL;
  const inputs = rows ? sizesOfModel(rows.inputs).width : model.width;
  const manifests = (saes?.widths ?? []).map(
    (width) => ({ kind: 'sae', hook: HOOK, params: {}, body: { width, inputs, k: K } }) as unknown as Manifest,
  );
  const extracted =
    rows && ({ kind: 'report', params: {}, body: { width: inputs, tokens: rows.tokens } } as unknown as Manifest);
  return contract.work(params, model, [...manifests, ...(extracted ? [extracted] : [])]);
}

function fitted(rows: readonly Row[]): UnitCosts {
  const own = rows.filter((row) => !row.case.held);
  const names = Object.keys(own[0]?.work.memory ?? {});
  const bytes = Object.fromEntries(names.map((name) => [name, 1]));
  return {
    seconds: unitCosts(
      own.map(({ work, measured }) => ({ quantities: work.seconds, measured: measured.cpu_s })),
      {},
    ),
    memory: unitCosts(
      own.map(({ work, measured }) => ({ quantities: work.memory, measured: measured.peak_bytes })),
      { ...bytes, ...MEMORY_PRIORS },
    ),
  };
}

const sizesOf = ({ params, saes, rows }: Case): string =>
  Object.entries({ ...params, ...(rows && { rows }), ...(saes && { widths: saes.widths }) })
    .map(([name, value]) => `${name} ${JSON.stringify(value).slice(0, 40)}`)
    .join(', ')
    .slice(0, 160);

export async function run(options: string[]): Promise<void> {
  const has = (option: string): boolean => options.includes(option);
  const [calibrates, memoryAlone, missing] = [has('--calibrate'), has('--memory'), has('--missing')];
  const kept = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as { lines: Line[] }).lines : [];
  const units: Record<string, UnitCosts> = { ...UNIT_COSTS };
  const only = options[options.indexOf('--only') + 1]?.split(',');
  const asked = (type: string): boolean => !has('--only') || only?.includes(type) === true;
  const cases = CASES.filter(({ type }) => asked(type));
  const inputs = writeInputs(cases);
  let lines = kept;
  try {
    for (const type of new Set(cases.map((one) => one.type))) {
      const rows: Row[] = [];
      let measuredNow = 0;
      for (const one of cases.filter((other) => other.type === type)) {
        const known = missing && kept.find((line) => line.type === type && line.sizes === sizesOf(one));
        measuredNow += known ? 0 : 1;
        const measured = known ? { cpu_s: known.cpu_s, peak_bytes: 1e6 * known.peak_mb } : await measure(one, inputs);
        rows.push({ case: one, work: workOf(one), measured });
      }
      // What was measured long ago keeps the costs that were fitted to it, unless it is asked for by name.
      if (calibrates && (measuredNow > 0 || has('--only'))) {
        units[type] = { ...fitted(rows), ...(memoryAlone && units[type] && { seconds: units[type].seconds }) };
      }
      lines = [...lines.filter((line) => line.type !== type), ...rows.map((row) => lineOf(row, units[type]))];
      writeLines(lines);
    }
  } finally {
    inputs.remove();
  }
  if (calibrates) {
    writeFileSync(UNITS, unitsFile(units));
  }
}

/** Types in the order of their cases, whenever each was measured. */
function writeLines(lines: readonly Line[]): void {
  const host = { cpu: cpus()[0]?.model ?? null, node: process.version, measure: 'CPU time and VmHWM of one process' };
  const types = [...new Set(CASES.map((one) => one.type))];
  const sorted = types.flatMap((type) => lines.filter((line) => line.type === type));
  writeFileSync(RESULTS, `${JSON.stringify({ host, lines: sorted }, null, 1)}\n`);
}

function lineOf({ case: one, work, measured }: Row, costs: UnitCosts | undefined) {
  const estimate = priceOf(one.type, work, costs);
  const line = {
    type: one.type,
    sizes: sizesOf(one),
    held: one.held ?? false,
    cpu_s: Number(measured.cpu_s.toPrecision(3)),
    estimated_s: estimate.device_seconds,
    peak_mb: Math.round(measured.peak_bytes / 1e6),
    estimated_mb: Math.round(estimate.memory_bytes / 1e6),
  };
  const time = `cpu ${line.cpu_s} s, estimated ${line.estimated_s}`;
  const memory = `peak ${line.peak_mb} MB, estimated ${line.estimated_mb} (${(line.estimated_mb / line.peak_mb).toFixed(2)})`;
  console.log(`${one.type.padEnd(20)} ${line.held ? 'held  ' : 'fitted'} ${time}; ${memory}`);
  return line;
}

function unitsFile(units: Readonly<Record<string, UnitCosts>>): string {
  const list = (costs: Readonly<Record<string, number>>): string =>
    Object.entries(costs)
      .map(([name, cost]) => `      ${name}: ${Number(cost.toPrecision(3))},`)
      .join('\n');
  const entries = Object.entries(units).map(
    ([type, { seconds, memory }]) =>
      `  '${type}': {\n    seconds: {\n${list(seconds)}\n    },\n    memory: {\n${list(memory)}\n    },\n  },`,
  );
  return `// Generated by \`npm run bench -- costs --calibrate\`; do not edit.\n/** Processor seconds and bytes of one of each quantity that a job of the type counts, on the machine of the calibration. */\nexport const UNIT_COSTS: Readonly<Record<string, Record<'seconds' | 'memory', Readonly<Record<string, number>>>>> = {\n${entries.join('\n')}\n};\n`;
}
