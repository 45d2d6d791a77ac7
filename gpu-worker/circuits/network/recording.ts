/** What every source gave in one run of a batch. */
import type { TokenRows } from '../../lm/index.ts';
import type { NodeModel } from './node-model.ts';

/**
 * By layer: the heads' values `z` [batch * seq * heads * headDim] and the MLPs' outputs [batch * seq * width]; of the whole batch
 * the embeddings `input` [batch * seq * width]. Shorter rows are padded on the left.
 */
export type Recording = {
  batch: number;
  seq: number;
  starts: number[];
  input: Float32Array;
  z: Float32Array[];
  mlp: Float32Array[];
};

/** The hooks that a recording is made of. */
export const sourceHooks = (layers: number): string[] => [
  'resid_pre.0',
  ...Array.from({ length: layers }, (_, layer) => [`z.${layer}`, `mlp_out.${layer}`]).flat(),
];

type Run = { batch: number; seq: number; starts: number[]; taps: Record<string, { data: Float32Array }> };

/** The taps of `sourceHooks` as a recording. */
export function recordingOf({ batch, seq, starts, taps }: Run, layers: number): Recording {
  const each = (kind: string) => Array.from({ length: layers }, (_, layer) => taps[`${kind}.${layer}`]!.data);
  return { batch, seq, starts, input: taps['resid_pre.0']!.data, z: each('z'), mlp: each('mlp_out') };
}

/** A run with its sources and the logits [batch * vocabulary] at each row's last position. */
export async function record(
  { model, graph }: NodeModel,
  ids: TokenRows,
): Promise<{ recording: Recording; logits: Float32Array }> {
  const run = await model.forward({ ids, taps: sourceHooks(graph.layers), logits: 'last' });
  return { recording: recordingOf(run, graph.layers), logits: run.logits!.data };
}

/** One array of a recording after another, with the numbers that each position of a row takes. */
export function* parts(recording: Recording): Generator<{ name: string; values: Float32Array; width: number }> {
  const positions = recording.batch * recording.seq;
  const named: [string, Float32Array][] = [
    ['input', recording.input],
    ...recording.z.map((values, layer): [string, Float32Array] => [`z.${layer}`, values]),
    ...recording.mlp.map((values, layer): [string, Float32Array] => [`mlp.${layer}`, values]),
  ];
  for (const [name, values] of named) {
    yield { name, values, width: values.length / positions };
  }
}

/** A recording of the same sizes, each array made of arrays of others. */
export function combined(
  recordings: readonly [Recording, ...Recording[]],
  make: (arrays: Float32Array[], width: number) => Float32Array,
): Recording {
  const [first] = recordings;
  const width = (values: Float32Array) => values.length / (first.batch * first.seq);
  const at = (of: (recording: Recording) => Float32Array) => make(recordings.map(of), width(of(first)));
  return {
    batch: first.batch,
    seq: first.seq,
    starts: first.starts,
    input: at(({ input }) => input),
    z: first.z.map((_, layer) => at(({ z }) => z[layer]!)),
    mlp: first.mlp.map((_, layer) => at(({ mlp }) => mlp[layer]!)),
  };
}

/** a - b, entry by entry. */
export const difference = (a: Recording, b: Recording): Recording =>
  combined([a, b], ([x, y]) => x!.map((value, i) => value - y![i]!));
