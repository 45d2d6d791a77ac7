/** Token rows as a batch: checked, padded on the left, with positions and the inputs that depend on shape alone. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';
import { ropeRegime } from '../../../shared/models/rope.ts';
import type { FeedValue } from '../../runtime/index.ts';
import { named } from '../named.ts';
import { causalMask, paddedMask } from '../network/masks.ts';
import { rotaryTables } from '../network/rotary.ts';
import { maskName } from './programs.ts';

export type TokenRows = readonly ArrayLike<number>[];

export type Batch = {
  batch: number;
  seq: number;
  /** How many positions at the beginning of each row are padding. */
  starts: number[];
  padded: boolean;
  /** [batch * seq]; 1 where there is a token. */
  mask: Uint8Array;
  ids: BigInt64Array;
};

/**
 * Rows of ids as a batch; shorter rows are padded on the left with id 0, which nothing looks at.
 * @throws SextantError `data_invalid`, `tokenizer_mismatch`, `context_exceeded`
 */
export function makeBatch(a: Architecture, rows: TokenRows): Batch {
  const seq = Math.max(0, ...rows.map((row) => row.length));
  if (rows.length === 0 || rows.some((row) => row.length === 0)) {
    throw new SextantError('data_invalid', 'every row of a batch needs at least one token');
  }
  requireContext(a, seq);
  const ids = new BigInt64Array(rows.length * seq);
  const mask = new Uint8Array(rows.length * seq);
  const starts = rows.map((row) => seq - row.length);
  for (const [r, row] of rows.entries()) {
    for (let i = 0; i < row.length; i++) {
      ids[r * seq + starts[r]! + i] = BigInt(requireId(a, row[i]!));
      mask[r * seq + starts[r]! + i] = 1;
    }
  }
  return { batch: rows.length, seq, starts, padded: starts.some((start) => start > 0), mask, ids };
}

export function requireId(a: Architecture, id: number): number {
  if (Number.isInteger(id) && id >= 0 && id < a.vocabulary) {
    return id;
  }
  throw new SextantError('tokenizer_mismatch', `token id ${id}: the model embeds ids 0 to ${a.vocabulary - 1}`);
}

export function requireContext(a: Architecture, length: number): void {
  if (length > a.context) {
    throw new SextantError('context_exceeded', `${length} tokens; the context of the model holds ${a.context}`);
  }
}

/** Positions int64 [batch, seq] counted from each row's first token. */
export function positionsOf(starts: readonly number[], seq: number): BigInt64Array {
  const positions = new BigInt64Array(starts.length * seq);
  for (const [row, start] of starts.entries()) {
    for (let i = 0; i < seq; i++) {
      positions[row * seq + i] = BigInt(Math.max(0, i - start));
    }
  }
  return positions;
}

/** Rotary tables and causal masks that grow on demand and are then shared by all runs of a model. */
export class ShapeFeeds {
  readonly #a: Architecture;
  readonly #masks = new Map<string, FeedValue>();
  readonly #tables = new Map<
    'rope' | 'localRope',
    { count: number; regime: number; feeds: Record<string, FeedValue> }
  >();

  constructor(architecture: Architecture) {
    this.#a = architecture;
  }

  /** The rotary tables of texts of `count` tokens, for at least so many positions, as feeds. */
  rotary(count: number): Record<string, FeedValue> {
    return { ...this.#rotaryOf('rope', count), ...this.#rotaryOf('localRope', count) };
  }

  #rotaryOf(kind: 'rope' | 'localRope', count: number): Record<string, FeedValue> {
    const rope = this.#a[kind];
    if (rope === null) {
      return {};
    }
    const regime = ropeRegime(rope, count);
    const known = this.#tables.get(kind);
    if (known && known.count >= count && known.regime === regime) {
      return known.feeds;
    }
    const room = Math.max(64, 2 ** Math.ceil(Math.log2(count)));
    const { cosines, sines } = rotaryTables(rope, room, count);
    const shape = [room, rope.dims / 2];
    const feeds = { [`${kind}.cosines`]: { shape, data: cosines }, [`${kind}.sines`]: { shape, data: sines } };
    this.#tables.set(kind, { count: room, regime, feeds });
    return feeds;
  }

  /** The masks of a batch without a cache, by input name. */
  masks({ seq, starts, padded }: Batch): Record<string, FeedValue> {
    if (!padded) {
      return this.causal(seq);
    }
    const feeds: Record<string, FeedValue> = {};
    for (const window of new Set(this.#a.windows)) {
      feeds[maskName(window)] = { shape: [starts.length, 1, 1, seq, seq], data: paddedMask(seq, window, starts) };
    }
    return feeds;
  }

  /** The masks of `seq` positions without padding, by input name. */
  causal(seq: number): Record<string, FeedValue> {
    const feeds: Record<string, FeedValue> = {};
    for (const window of new Set(this.#a.windows)) {
      const name = maskName(window);
      const key = `${name}:${seq}`;
      if (!this.#masks.has(key)) {
        if (this.#masks.size > 16) {
          this.#masks.clear();
        }
        this.#masks.set(key, { shape: [seq, seq], data: causalMask(seq, window) });
      }
      feeds[name] = named(this.#masks, key);
    }
    return feeds;
  }
}
