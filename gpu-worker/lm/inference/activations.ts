/** Streams of activations: what a model's hook points hold over a stream of token sequences, without storage. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Intervention } from './interventions.ts';
import type { LanguageModel } from './model.ts';

type ActivationBlock = {
  /** Vectors kept in this block, over all its sequences. */
  count: number;
  /** By hook: [count, width]. */
  values: Record<string, Float32Array>;
  /** Token id of each vector. */
  tokens: Int32Array;
  /** Number of each vector's sequence since the start of the stream, and its position there. */
  sequences: Int32Array;
  positions: Int32Array;
};

export type ActivationOptions = {
  hooks: readonly string[];
  /** Sequences per pass. */
  batch?: number;
  /** Positions to keep; by default all but the special tokens of the model's tokenizer. */
  keep?: (token: number, position: number) => boolean;
  interventions?: readonly Intervention[];
};

/**
 * The values at `hooks` for each kept position of each sequence, one block per pass; memory does not depend on the
 * stream's length. Sequences in one pass may differ in length.
 * @throws SextantError `hook_unknown`, `data_invalid` where not one position of the whole stream is kept
 */
export async function* activations(
  model: LanguageModel,
  sequences: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
  options: ActivationOptions,
): AsyncGenerator<ActivationBlock, void, void> {
  const { hooks, batch = 8, interventions = [] } = options;
  const special = model.tokenizer?.special ?? new Set<number>();
  const keep = options.keep ?? ((token: number) => !special.has(token));
  for (const hook of hooks) {
    if (model.widthAt(hook) === null) {
      throw new SextantError('hook_unknown', `'${hook}' has no vectors of fixed width; tap it in single passes`);
    }
  }
  let started = 0;
  let kept = 0;
  for await (const rows of groups(sequences, batch)) {
    const block = await read(model, hooks, rows, keep, interventions, started);
    started += rows.length;
    kept += block.count;
    if (block.count > 0) {
      yield block;
    }
  }
  if (kept === 0) {
    throw new SextantError('data_invalid', 'no token is left after masking special tokens and padding');
  }
}

async function read(
  model: LanguageModel,
  hooks: readonly string[],
  rows: ArrayLike<number>[],
  keep: (token: number, position: number) => boolean,
  interventions: readonly Intervention[],
  firstSequence: number,
): Promise<ActivationBlock> {
  const seq = Math.max(...rows.map((row) => row.length));
  const at: number[] = [];
  const found: [token: number, sequence: number, position: number][] = [];
  for (const [r, row] of rows.entries()) {
    for (let i = 0; i < row.length; i++) {
      if (keep(row[i]!, i)) {
        at.push(r * seq + seq - row.length + i);
        found.push([row[i]!, firstSequence + r, i]);
      }
    }
  }
  const all = at.length === rows.length * seq;
  const values: Record<string, Float32Array> = {};
  if (at.length > 0) {
    const { taps } = await model.forward({
      ids: rows,
      taps: hooks,
      tapAt: all ? 'all' : at,
      logits: 'none',
      interventions,
    });
    for (const hook of hooks) {
      values[hook] = taps[hook]!.data;
    }
  }
  return {
    count: at.length,
    values,
    tokens: Int32Array.from(found, ([token]) => token),
    sequences: Int32Array.from(found, ([, sequence]) => sequence),
    positions: Int32Array.from(found, ([, , position]) => position),
  };
}

/** @throws SextantError `not_finite` where one of the values is not; `what` names where they are from */
export function requireFinite(x: Float32Array, what: string): void {
  const bad = x.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new SextantError('not_finite', `the activations at ${what} hold ${x[bad]}`);
  }
}

/** Items of a stream in groups of `size`; the last may be smaller. */
export async function* groups<T>(items: AsyncIterable<T> | Iterable<T>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length === size) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) {
    yield group;
  }
}
