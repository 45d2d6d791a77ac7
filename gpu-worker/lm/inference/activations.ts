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

type ActivationOptions = {
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

/**
 * One hook's vectors as blocks [rows, width] of equal size, shuffled over a buffer, for direct feeding into a trainer.
 * The last block may be smaller. `random(n)` gives an integer below n.
 */
export async function* activationRows(
  model: LanguageModel,
  sequences: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
  options: Omit<ActivationOptions, 'hooks'> & {
    hook: string;
    rows: number;
    /** Rows that wait in the shuffle buffer; 0 keeps the order of the text. */
    buffer?: number;
    random?: (bound: number) => number;
  },
): AsyncGenerator<Float32Array, void, void> {
  const { hook, rows, buffer = 0, random } = options;
  const width = model.widthAt(hook)!;
  const room = Math.max(buffer, rows);
  let held = new Float32Array(room * width);
  let count = 0;
  const take = (): Float32Array => {
    const out = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const from = buffer > 0 && random ? random(count) : row;
      out.set(held.subarray(from * width, (from + 1) * width), row * width);
      if (buffer > 0 && random) {
        count--;
        held.copyWithin(from * width, count * width, (count + 1) * width);
      }
    }
    if (!(buffer > 0 && random)) {
      held.copyWithin(0, rows * width, count * width);
      count -= rows;
    }
    return out;
  };
  for await (const block of activations(model, sequences, { ...options, hooks: [hook] })) {
    const values = block.values[hook]!;
    if ((count + block.count) * width > held.length) {
      const larger = new Float32Array((count + block.count + room) * width);
      larger.set(held.subarray(0, count * width));
      held = larger;
    }
    held.set(values, count * width);
    count += block.count;
    while (count >= room) {
      yield take();
    }
  }
  while (count >= rows) {
    yield take();
  }
  if (count > 0) {
    yield held.slice(0, count * width);
  }
}
