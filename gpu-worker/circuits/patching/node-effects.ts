/** Runs in which single nodes give what they gave in another run, many nodes at a time. */
import { groups } from '../../lm/index.ts';
import type { NodeModel } from '../network/node-model.ts';
import { type Patching, patchedRun } from '../network/patched-run.ts';

/** Rows of one pass; more do not go through the model any faster. */
const ROWS = 64;

/**
 * Logits [variants, rows, vocabulary]: for each variant (a set of sources), of every row of `ids`, with these sources patched.
 * @param done called with the variants that are finished
 */
export async function patchedVariants(
  nodes: NodeModel,
  ids: readonly ArrayLike<number>[],
  variants: readonly (readonly number[])[],
  patching: Omit<Patching, 'sources' | 'pairs'>,
  each: (variant: number, logits: Float32Array) => void,
): Promise<void> {
  const { vocabulary } = nodes.model.architecture;
  const together = Math.max(1, Math.floor(ROWS / ids.length));
  const { seq } = patching.reference;
  let done = 0;
  for await (const chunk of groups(variants, together)) {
    const { logits } = await patchedRun(nodes, repeatedRows(ids, chunk.length), {
      ...patching,
      sources: chunk.flatMap((sources) => ids.map(() => sources)),
      pairs: chunk.flatMap(() => ids.map((_, row) => row)),
      ...(patching.positions && {
        positions: repeatedValues(patching.positions.subarray(0, ids.length * seq), chunk.length),
      }),
    });
    for (const i of chunk.keys()) {
      const size = ids.length * vocabulary;
      each(done + i, logits.subarray(i * size, (i + 1) * size));
    }
    done += chunk.length;
  }
}

const repeatedRows = <T>(rows: readonly T[], times: number): T[] =>
  Array.from({ length: times }, () => rows).flat() as T[];

function repeatedValues(values: Float32Array, times: number): Float32Array {
  const out = new Float32Array(values.length * times);
  for (let i = 0; i < times; i++) {
    out.set(values, i * values.length);
  }
  return out;
}
