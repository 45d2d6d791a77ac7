/** Streams of activations: what a model's hook points hold over a stream of token sequences, without storage. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { PASS_POSITIONS } from '../../../shared/models/pass-size.ts';
import { ropeRegime } from '../../../shared/models/rope.ts';
import type { CorpusPosition, Passage } from '../corpus/passages.ts';
import { named } from '../named.ts';
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
  /** Number of each vector's document and its place there; of plain rows of ids each is a document. */
  documents: Int32Array;
  places: Int32Array;
  /** Where the rest of the stream begins; null of plain rows. */
  next: CorpusPosition | null;
};

/** Token ids, or a passage, which knows where they are from. */
export type Sequence = ArrayLike<number> | Passage;
type Row = ArrayLike<number> | { ids: ArrayLike<number> };
const idsOf = (row: Row): ArrayLike<number> => ('ids' in row ? row.ids : row);

export type ActivationOptions = {
  hooks: readonly string[];
  /** Sequences per pass. */
  batch?: number;
  /** Positions to keep; by default all but the special tokens of the model's tokenizer. */
  keep?: (token: number, position: number) => boolean;
  interventions?: readonly Intervention[];
  /** Whether this is the rest of a stream of which positions were kept before. */
  resumed?: boolean;
};

/**
 * The values at `hooks` for each kept position of each sequence, one block per pass; memory does not depend on the
 * stream's length. Sequences in one pass may differ in length.
 * @throws SextantError `hook_unknown`, `data_invalid` where not one position of the whole stream is kept
 */
export async function* activations(
  model: LanguageModel,
  sequences: AsyncIterable<Sequence> | Iterable<Sequence>,
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
  for await (const rows of passes(model, sequences, batch)) {
    const block = await read(model, hooks, rows, keep, interventions, started);
    started += rows.length;
    kept += block.count;
    if (block.count > 0) {
      yield block;
    }
  }
  if (kept === 0 && !options.resumed) {
    throw new SextantError('data_invalid', 'no token is left after masking special tokens and padding');
  }
}

type Place = { token: number; sequence: number; position: number; document: number; place: number };

async function read(
  model: LanguageModel,
  hooks: readonly string[],
  sequences: readonly Sequence[],
  keep: (token: number, position: number) => boolean,
  interventions: readonly Intervention[],
  firstSequence: number,
): Promise<ActivationBlock> {
  const rows = sequences.map(idsOf);
  const seq = Math.max(...rows.map((row) => row.length));
  const at: number[] = [];
  const found: Place[] = [];
  for (const [r, row] of rows.entries()) {
    const sequence = firstSequence + r;
    const from = sequences[r];
    for (let i = 0; i < row.length; i++) {
      const token = row[i] ?? 0;
      if (keep(token, i)) {
        at.push(r * seq + seq - row.length + i);
        const [document, place] = from && 'ids' in from ? [from.documents[i], from.positions[i]] : [sequence, i];
        found.push({ token, sequence, position: i, document: document ?? 0, place: place ?? 0 });
      }
    }
  }
  const all = at.length === rows.length * seq;
  const last = sequences.at(-1);
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
      values[hook] = named(taps, hook).data;
    }
  }
  return {
    count: at.length,
    values,
    tokens: Int32Array.from(found, ({ token }) => token),
    sequences: Int32Array.from(found, ({ sequence }) => sequence),
    positions: Int32Array.from(found, ({ position }) => position),
    documents: Int32Array.from(found, ({ document }) => document),
    places: Int32Array.from(found, ({ place }) => place),
    next: last && 'ids' in last ? last.next : null,
  };
}

/**
 * Sequences that go through the model together: at most `size`, of few enough positions (with padding; one sequence may
 * have more), and all of one rotary scaling, which would otherwise follow the longest of them.
 */
export async function* passes<T extends Row>(
  { architecture: { rope } }: LanguageModel,
  sequences: AsyncIterable<T> | Iterable<T>,
  size: number,
  positions = PASS_POSITIONS,
): AsyncGenerator<T[]> {
  const regimeOf = (length: number) => (rope ? ropeRegime(rope, length) : 0);
  let pass: T[] = [];
  let longest = 0;
  let regime = 0;
  for await (const sequence of sequences) {
    const { length } = idsOf(sequence);
    const fits =
      pass.length < size && (pass.length + 1) * Math.max(longest, length) <= positions && regimeOf(length) === regime;
    if (pass.length > 0 && !fits) {
      yield pass;
      pass = [];
      longest = 0;
    }
    pass.push(sequence);
    longest = Math.max(longest, length);
    regime = regimeOf(length);
  }
  if (pass.length > 0) {
    yield pass;
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
