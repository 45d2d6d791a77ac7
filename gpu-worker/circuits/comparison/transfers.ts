/** Which parts of one checkpoint change another, on the metric of a task. */
import type { LanguageModel } from '../../lm/index.ts';
import {
  type Component,
  componentsOf,
  readSource,
  TRANSFER_KINDS,
  type TransferKind,
  transferredRun,
} from '../cross-model/transfer.ts';
import { batchesOf } from '../tasks/batches.ts';
import { type Metric, measureRows } from '../tasks/metric.ts';
import type { Pair } from '../tasks/pair.ts';

type TransferEffect = {
  kind: TransferKind;
  layer: number;
  /** Null: an MLP, a stream, or all heads of `joint`. */
  head: number | null;
  /** Mean metric of the model with the part put in, minus without. */
  effect: number;
  /** Of the difference of the two models; null where that is within two standard errors. */
  share: number | null;
};
export type Transfers = {
  from: number;
  into: number;
  single: TransferEffect[];
  /** All heads of a circuit at once, by kind. */
  joint: { kind: TransferKind; effect: number; share: number | null }[];
};

const ROWS = 64;
const HEAD_KINDS: readonly TransferKind[] = ['output', 'value', 'pattern', 'q'];
const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

/** @param circuit heads that are put in together */
export async function transfers(
  from: LanguageModel,
  into: LanguageModel,
  pairs: readonly Pair[],
  metric: Metric,
  {
    kinds = TRANSFER_KINDS,
    circuit,
  }: { kinds?: readonly TransferKind[]; circuit: readonly { layer: number; head: number }[] },
): Promise<Transfers> {
  const single = kinds.flatMap((kind) => componentsOf(into, kind));
  const joined = kinds
    .filter((kind) => HEAD_KINDS.includes(kind) && circuit.length > 0)
    .map((kind): Component[] => circuit.map(({ layer, head }) => ({ kind, layer, head })));
  const sets = [...single.map((component) => [component]), ...joined];
  const found = sets.map(() => new Float64Array(pairs.length));
  const [there, here] = [new Float64Array(pairs.length), new Float64Array(pairs.length)];
  for (const batch of batchesOf(pairs, 16)) {
    const ids = batch.pairs.map(({ clean }) => clean);
    const plain = async (model: LanguageModel, out: Float64Array) => {
      const { logits } = await model.forward({ ids, logits: 'last' });
      place(out, batch.at, measureRows(metric, logits!.data, batch.pairs, logits!.data));
      return logits!.data;
    };
    await plain(from, there);
    const clean = await plain(into, here);
    const source = await readSource(from, ids, kinds);
    const together = Math.max(1, Math.floor(ROWS / ids.length));
    // Sets of one kind share a program.
    const order = sets.map((_, i) => i).sort((a, b) => keyOf(sets[a]!).localeCompare(keyOf(sets[b]!)) || a - b);
    for (let at = 0; at < order.length; ) {
      const key = keyOf(sets[order[at]!]!);
      const chunk = order.slice(at, at + together).filter((i) => keyOf(sets[i]!) === key);
      const logits = await transferredRun(
        into,
        chunk.flatMap(() => ids),
        source,
        chunk.flatMap((i) => ids.map(() => sets[i]!)),
        chunk.flatMap(() => ids.map((_, row) => row)),
      );
      const size = logits.length / chunk.length;
      for (const [n, i] of chunk.entries()) {
        const own = logits.subarray(n * size, (n + 1) * size);
        place(found[i]!, batch.at, measureRows(metric, own, batch.pairs, clean));
      }
      at += chunk.length;
    }
  }
  const gaps = there.map((value, i) => value - here[i]!);
  const error = Math.sqrt(
    gaps.reduce((sum, gap) => sum + (gap - mean(gaps)) ** 2, 0) / Math.max(1, pairs.length - 1) / pairs.length,
  );
  const shown = Math.abs(mean(gaps)) > 2 * error;
  const effectOf = (values: Float64Array) => {
    const effect = mean(values) - mean(here);
    return { effect, share: shown ? effect / mean(gaps) : null };
  };
  return {
    from: mean(there),
    into: mean(here),
    single: single.map((component, i) => ({ ...component, ...effectOf(found[i]!) })),
    joint: joined.map((set, i) => ({ kind: set[0]!.kind, ...effectOf(found[single.length + i]!) })),
  };
}

const keyOf = (set: readonly Component[]): string =>
  [...new Set(set.map(({ kind, layer }) => `${kind}.${layer}`))].join();

function place(out: Float64Array, at: readonly number[], values: Float64Array): void {
  for (const [row, pair] of at.entries()) {
    out[pair] = values[row]!;
  }
}
