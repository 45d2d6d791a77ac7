/** Prompts through a model in batches of one length each, so that nothing is padded and the fast attention serves. */
import type { ForwardRequest, ForwardResult, LanguageModel } from '../lm/index.ts';

/** Positions of a forward pass. */
const PASS_POSITIONS = 2048;

export type Row = { ids: readonly number[] };

/**
 * Calls back with every batch and the numbers of its rows.
 * @param request what to ask of the batch made of these rows, in their order
 */
export async function eachBatch<R extends Row>(
  model: LanguageModel,
  rows: readonly R[],
  request: (batch: readonly R[]) => Omit<ForwardRequest, 'ids'>,
  visit: (result: ForwardResult, numbers: readonly number[]) => void | Promise<void>,
): Promise<void> {
  const byLength = new Map<number, number[]>();
  for (const [i, { ids }] of rows.entries()) {
    byLength.set(ids.length, [...(byLength.get(ids.length) ?? []), i]);
  }
  for (const [length, numbers] of [...byLength].sort(([a], [b]) => a - b)) {
    const size = Math.max(1, Math.floor(PASS_POSITIONS / length));
    for (let from = 0; from < numbers.length; from += size) {
      const part = numbers.slice(from, from + size);
      const batch = part.map((i) => rows[i]!);
      await visit(await model.forward({ ids: batch.map(({ ids }) => ids), ...request(batch) }), part);
    }
  }
}

/** Logits [rows, vocabulary] after each row, in the order of the rows. */
export async function lastLogits<R extends Row>(
  model: LanguageModel,
  rows: readonly R[],
  interventions: (batch: readonly R[]) => ForwardRequest['interventions'] = () => [],
): Promise<Float32Array> {
  const { vocabulary } = model.architecture;
  const all = new Float32Array(rows.length * vocabulary);
  await eachBatch(
    model,
    rows,
    (batch) => ({ logits: 'last', interventions: interventions(batch) ?? [] }),
    ({ logits }, numbers) => {
      for (const [i, row] of numbers.entries()) {
        all.set(logits!.data.subarray(i * vocabulary, (i + 1) * vocabulary), row * vocabulary);
      }
    },
  );
  return all;
}

/** One vector per row of a batch, side by side. */
export function perRow(vectors: readonly ArrayLike<number>[]): Float32Array {
  const width = vectors[0]?.length ?? 0;
  const out = new Float32Array(vectors.length * width);
  for (const [i, vector] of vectors.entries()) {
    out.set(vector, i * width);
  }
  return out;
}
