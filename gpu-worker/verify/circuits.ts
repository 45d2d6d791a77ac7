/**
 * `verify -- circuits DIR`: attribution, patching and edges of the models that the files of DIR name, and cross-model
 * patching, against stored values.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors, type Safetensors } from '../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../shared/formats/safetensors-values.ts';
import {
  ablated,
  componentsOf,
  directAttribution,
  directLogits,
  EdgeAttribution,
  EdgeRuns,
  finalStreams,
  HeadProgram,
  measureRows,
  type NodeModel,
  nodeModel,
  type Pair,
  patchedVariants,
  readSource,
  record,
  requireOneShape,
  transferredRun,
} from '../circuits/index.ts';
import { loadModel } from '../lm/index.ts';
import { type Device, Report } from './report.ts';

const LIMIT = 1e-3;
const SHARE_LIMIT = 1e-2;
const IDENTITY = 1e-5;

type CaseFile = {
  model: string;
  edges: string[];
  exact_edges: string[];
  ig_steps: number;
  knockout_heads: string[];
};
type CrossFile = { model_a: string; model_b: string; heads: string[]; share: Record<string, number> };

/** Runs the comparison; used by the command and by the tests. */
export async function compareCircuits(dir: string, device: Device): Promise<Report> {
  const report = new Report('circuits', dir, device);
  const names = readdirSync(dir)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
  for (const name of names) {
    try {
      const stored = JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8')) as CaseFile | CrossFile;
      const tensors = readSafetensors(new Uint8Array(readFileSync(join(dir, `${name}.safetensors`))));
      const caseOf = { report, dir, name, tensors };
      await ('model_a' in stored ? compareCross(caseOf, stored as CrossFile) : compareCase(caseOf, stored as CaseFile));
    } catch (error) {
      report.unreadable(`${name}/case`, error);
    }
  }
  return report;
}

type Case = { report: Report; dir: string; name: string; tensors: Safetensors };

/** Compares a tensor, and the difference to what it is without the patch, where that is given. */
function compare({ report, name, tensors }: Case, key: string, found: ArrayLike<number>, plain?: Plain): void {
  const stored = tensors.float32(key);
  report.item(`${name}/${key}`, found, stored, LIMIT);
  if (plain) {
    const columns = stored.length / plain.stored.length;
    const less = (values: ArrayLike<number>, by: ArrayLike<number>) =>
      Array.from(values, (value, i) => value - by[Math.floor(i / columns)]!);
    report.item(`${name}/${key}/effect`, less(found, plain.found), less(stored, plain.stored), LIMIT);
  }
}
/** One value a pair: ours and the stored one. */
type Plain = { found: ArrayLike<number>; stored: ArrayLike<number> };

function integers(tensors: Safetensors, name: string): number[][] {
  const { shape, dtype } = tensors.header.tensors.get(name)!;
  const values = [...toFloat64(tensors.bytes(name), dtype)];
  const columns = shape[1] ?? 1;
  return Array.from({ length: shape[0]! }, (_, row) => values.slice(row * columns, (row + 1) * columns));
}

function pairsOf(tensors: Safetensors): Pair[] {
  const [clean, corrupted, answer, other] = ['clean', 'corrupted', 'answer', 'other'].map((name) =>
    integers(tensors, name),
  );
  return clean!.map((ids, i) => ({
    clean: ids,
    corrupted: corrupted![i]!,
    answer: answer![i]!,
    other: other![i]!,
    template: null,
  }));
}

async function compareCase(of: Case, stored: CaseFile): Promise<void> {
  const { report, name, tensors } = of;
  const model = await loadModel(join(of.dir, stored.model), { device: report.device });
  const nodes = nodeModel(model);
  const head = await HeadProgram.open(nodes);
  const programs = new EdgeRuns(nodes);
  try {
    const { graph } = nodes;
    const pairs = pairsOf(tensors);
    const ids = { clean: pairs.map(({ clean }) => clean), corrupted: pairs.map(({ corrupted }) => corrupted) };
    const values = (logits: Float32Array) => measureRows('logit_difference', logits, pairs);
    const clean = await record(nodes, ids.clean);
    const corrupted = await record(nodes, ids.corrupted);
    const plain = {
      clean: { found: values(clean.logits), stored: tensors.float32('ld_clean') },
      corrupted: { found: values(corrupted.logits), stored: tensors.float32('ld_corrupted') },
    };
    compare(of, 'ld_clean', plain.clean.found);
    compare(of, 'ld_corrupted', plain.corrupted.found);
    const edges = [...graph.edges()];
    const names = edges.map((edge) => graph.name(edge));
    report.exact(`${name}/edges`, [...names].sort().join() === [...stored.edges].sort().join());

    const streams = await finalStreams(nodes, ids.clean);
    const attributed = directAttribution(nodes, clean.recording, streams, pairs);
    const heads = everyHead(nodes);
    const mlps = Array.from({ length: graph.layers }, (_, layer) => graph.mlp(layer));
    const bySource = (sources: readonly number[]) =>
      pairs.flatMap((_, row) => sources.map((source) => attributed.sources[row * graph.sources.length + source]!));
    compare(of, 'attribution.heads', bySource(heads));
    compare(of, 'attribution.mlps', bySource(mlps));
    compare(of, 'attribution.input', bySource([0]));
    compare(of, 'attribution.biases', attributed.biases);

    /** [pairs, variants] */
    const table = async (
      run: (each: (variant: number, logits: Float32Array) => void) => Promise<void>,
      count: number,
    ) => {
      const found = new Float64Array(pairs.length * count);
      await run((variant, logits) => {
        for (const [row, value] of values(logits).entries()) {
          found[row * count + variant] = value;
        }
      });
      return found;
    };
    const single = (sources: readonly number[]) => sources.map((source) => [source]);
    const patched = (sources: readonly number[], reference = clean.recording) =>
      table((each) => patchedVariants(nodes, ids.corrupted, single(sources), { reference }, each), sources.length);
    compare(of, 'patch.heads', await patched(heads), plain.corrupted);
    compare(of, 'patch.mlps', await patched(mlps), plain.corrupted);
    const identity = await table(
      (each) => patchedVariants(nodes, ids.clean, single([...heads, ...mlps]), { reference: clean.recording }, each),
      heads.length + mlps.length,
    );
    const most = Math.max(
      ...identity.map((value, i) => Math.abs(value - plain.clean.found[Math.floor(i / (heads.length + mlps.length))]!)),
    );
    report.exact(`${name}/identity`, most <= IDENTITY);
    report.note(`${name}/identity`, `largest change ${most.toExponential(2)}`);

    const direct = await directLogits(
      nodes,
      head,
      { streams, recording: clean.recording },
      corrupted.recording,
      heads.flatMap((source) => pairs.map((_, row) => ({ row, source }))),
    );
    const { vocabulary } = model.architecture;
    const frozen = await table(async (each) => {
      const size = pairs.length * vocabulary;
      for (const i of heads.keys()) {
        each(i, direct.subarray(i * size, (i + 1) * size));
      }
    }, heads.length);
    compare(of, 'path.mlps_frozen', frozen, plain.clean);
    const recomputed = await table(
      (each) =>
        patchedVariants(
          nodes,
          ids.clean,
          single(heads),
          { reference: corrupted.recording, frozen: { at: clean.recording, mlps: false } },
          each,
        ),
      heads.length,
    );
    compare(of, 'path.mlps_recomputed', recomputed, plain.clean);

    const means = ablated(
      corrupted.recording,
      'mean',
      pairs.map(() => null),
    );
    const knocked = stored.knockout_heads.map((head) => graph.source(head));
    compare(
      of,
      'knockout.single',
      await table(
        (each) => patchedVariants(nodes, ids.clean, single(knocked), { reference: means }, each),
        knocked.length,
      ),
      plain.clean,
    );
    compare(
      of,
      'knockout.joint',
      await table((each) => patchedVariants(nodes, ids.clean, [knocked], { reference: means }, each), 1),
      plain.clean,
    );

    const order = stored.edges.map((edge) => graph.at(graph.edge(edge)));
    const size = graph.sources.length * graph.readers.length;
    const attribution = await EdgeAttribution.open(nodes, 'logit_difference');
    try {
      const inOrder = (scores: Float32Array) => pairs.flatMap((_, row) => order.map((at) => scores[row * size + at]!));
      compare(of, 'edges.eap', inOrder(await attribution.scores(pairs, { kind: 'eap' })));
      const steps = stored.ig_steps;
      compare(
        of,
        'edges.eap_ig',
        inOrder(await attribution.scores(pairs, { kind: 'eap_ig', steps, between: 'inputs' })),
      );
    } finally {
      await attribution.release();
    }
    const shares = stored.exact_edges.map((edge) => {
      const share = new Float32Array(size);
      share[graph.at(graph.edge(edge))] = 1;
      return share;
    });
    const exact = await table(
      (each) => programs.run({ ids: ids.clean, reference: corrupted.recording }, shares, each),
      shares.length,
    );
    compare(
      of,
      'edges.exact',
      exact.map((value, i) => value - plain.clean.found[Math.floor(i / shares.length)]!),
    );
  } finally {
    await programs.release();
    await head.release();
    await model.release();
  }
}

const everyHead = ({ graph }: NodeModel): number[] =>
  Array.from({ length: graph.layers }, (_, layer) =>
    Array.from({ length: graph.heads }, (_, head) => graph.head(layer, head)),
  ).flat();

async function compareCross(of: Case, stored: CrossFile): Promise<void> {
  const { report, name, dir } = of;
  const base = name.replace(/-cross$/, '');
  const tensors = readSafetensors(new Uint8Array(readFileSync(join(dir, `${base}.safetensors`))));
  const pairs = pairsOf(tensors);
  const ids = pairs.map(({ clean }) => clean);
  const values = (logits: Float32Array) => measureRows('logit_difference', logits, pairs);
  const from = await loadModel(join(dir, stored.model_a), { device: report.device });
  const into = await loadModel(join(dir, stored.model_b), { device: report.device });
  try {
    requireOneShape(from, into, '/model_a');
    const { graph } = nodeModel(into);
    const whole = async (model: typeof from) => values((await model.forward({ ids, logits: 'last' })).logits!.data);
    const [a, b] = [await whole(from), await whole(into)];
    compare(of, 'ld_a', a);
    compare(of, 'ld_b', b);
    const plain = { found: b, stored: of.tensors.float32('ld_b') };
    const source = await readSource(from, ids, ['output', 'value']);
    const mean = (numbers: ArrayLike<number>) =>
      Array.from(numbers).reduce((sum, value) => sum + value, 0) / numbers.length;
    const shares: Record<string, number> = {};
    const sets = [...stored.heads.map((head) => ({ key: head, heads: [head] })), { key: 'joint', heads: stored.heads }];
    for (const kind of ['output', 'value'] as const) {
      for (const { key, heads } of sets) {
        const chosen = componentsOf(into, kind).filter(({ layer, head }) =>
          heads.some((wanted) => graph.source(wanted) === graph.head(layer, head!)),
        );
        const found = values(
          await transferredRun(
            into,
            ids,
            source,
            ids.map(() => chosen),
            ids.map((_, row) => row),
          ),
        );
        if (of.tensors.header.tensors.has(`${kind}.${key}`)) {
          compare(of, `${kind}.${key}`, found, plain);
        }
        shares[`${kind}.${key}`] = (mean(found) - mean(b)) / (mean(a) - mean(b));
      }
    }
    const keys = Object.keys(stored.share);
    report.item(
      `${name}/share`,
      keys.map((key) => shares[key] ?? Number.NaN),
      keys.map((key) => stored.share[key]!),
      SHARE_LIMIT,
    );
  } finally {
    await from.release();
    await into.release();
  }
}
