/** Runs in which chosen sources give what they gave in another run. */
import type { Intervention, TokenRows } from '../../lm/index.ts';
import type { NodeGraph } from '../graph/node-graph.ts';
import { blendAt } from './blend.ts';
import type { NodeModel } from './node-model.ts';
import { parts, type Recording, recordingOf, sourceHooks } from './recording.ts';

export type Patching = {
  /** What patched sources give. */
  reference: Recording;
  /** What the others give, where that is not what they compute: heads alone, or MLPs too. */
  frozen?: { at: Recording; mlps: boolean };
  /** Of each row of `ids`: the row of the recordings that belongs to it. Row i to row i where it is not given. */
  pairs?: readonly number[];
  /** Of each row: the sources that are patched. */
  sources: readonly (readonly number[])[];
  /** [rows * seq]; positions that are 0 are left alone. */
  positions?: Float32Array | null;
};

type PatchedRun = { logits: Float32Array; recording: Recording | null };

/**
 * Logits at the last position of each row. Everything behind a patched source is computed again.
 * @param options.record also what every source gave
 */
export async function patchedRun(
  { model, graph }: NodeModel,
  ids: TokenRows,
  patching: Patching,
  { record = false }: { record?: boolean } = {},
): Promise<PatchedRun> {
  const run = await model.forward({
    ids,
    logits: 'last',
    interventions: interventions(graph, patching, ids.length),
    ...(record && { taps: sourceHooks(graph.layers) }),
  });
  return { logits: run.logits!.data, recording: record ? recordingOf(run, graph.layers) : null };
}

function interventions(graph: NodeGraph, patching: Patching, rows: number): Intervention[] {
  const { reference, frozen, positions } = patching;
  const { batch, seq } = reference;
  const pairs = Float32Array.from({ length: rows }, (_, row) => patching.pairs?.[row] ?? row);
  const base = new Map(frozen ? [...parts(frozen.at)].map(({ name, values }) => [name, values]) : []);
  const found: Intervention[] = [];
  // Every source can be patched in every run, so that one program serves all.
  for (const { name, values, width } of parts(reference)) {
    const own = sourcesAt(graph, name);
    const held = frozen !== undefined && (name.startsWith('z') || (frozen.mlps && name.startsWith('mlp')));
    const share = new Float32Array(rows * width);
    const each = width / own.length;
    for (const [row, sources] of patching.sources.entries()) {
      for (const [i, source] of own.entries()) {
        if (sources.includes(source)) {
          share.fill(1, row * width + i * each, row * width + (i + 1) * each);
        }
      }
    }
    found.push(
      blendAt({
        hook: name === 'input' ? 'resid_pre.0' : name.replace('mlp', 'mlp_out'),
        pairs,
        reference: { shape: [batch, seq, width], data: values },
        share: { shape: [rows, 1, width], data: share },
        base: held ? base.get(name)! : null,
        positions: positions ?? null,
      }),
    );
  }
  return found;
}

/** The sources whose outputs an array of a recording holds side by side. */
function sourcesAt(graph: NodeGraph, name: string): number[] {
  const [kind, layer] = name.split('.');
  if (kind === 'input') {
    return [0];
  }
  return kind === 'mlp'
    ? [graph.mlp(Number(layer))]
    : Array.from({ length: graph.heads }, (_, head) => graph.head(Number(layer), head));
}
