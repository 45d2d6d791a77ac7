/**
 * Causal attention of one layer in one node of the runtime's own: scores, softmax and the sum of the values, over new
 * keys and values and those of a cache. For inference on the CPU only, so it has no gradient.
 *
 * The node also returns the cache with the new entries. They are not outputs of a program, because every output is
 * copied into a new array; the host writes the few new entries into its buffers itself.
 */
import { applyOne, type Dense, GraphError, type Operator, type Tensor } from '../../graph/index.ts';

export type FusedAttributes = {
  heads: number;
  kvHeads: number;
  headDim: number;
  /** Factor on the scores. */
  scale: number;
  /** Scores s become cap * tanh(s / cap); null leaves them. */
  cap: number | null;
  /** How many positions a query sees, itself included; null: all earlier ones. */
  window: number | null;
  /** Entries of each head that are turned here; 0 where that is done before. */
  dims: number;
};

/** Whether the runtime's node has a form for heads of this size. */
export const fusedFits = (headDim: number): boolean => headDim % 8 === 0;
/** Whether it can also turn `dims` entries of them. */
export const fusedTurns = (headDim: number, dims: number): boolean => headDim % 16 === 0 && dims % 16 === 0;

type FusedInputs = {
  /** [batch, seq, heads * headDim], and [batch, seq, kvHeads * headDim] twice. */
  q: Tensor;
  k: Tensor;
  v: Tensor;
  /**
   * Keys and values of earlier positions, [batch, kvHeads, capacity, headDim], filled from index 0; null where there
   * are none and none will follow.
   */
  past: { keys: Tensor; values: Tensor } | null;
  /** int32 [batch]: number of each row's last new position, counted from 0. */
  last: Tensor;
  /** int32, one number: positions of the longest row, the new ones included; equal to seq on the first run. */
  total: Tensor;
  /** Tables [positions, dims/2]. */
  tables: { cosines: Tensor; sines: Tensor } | null;
};

/** The heads' sums [batch, seq, heads * headDim]. */
export function fusedAttention(inputs: FusedInputs, attributes: FusedAttributes): Tensor {
  const { q, k, v, past, last, total, tables } = inputs;
  const cache = past ? [past.keys, past.values] : [];
  const turns = tables ? [tables.cosines, tables.sines] : [];
  return applyOne(FusedAttention, [q, k, v, last, total, ...cache, ...turns], { ...attributes, cached: past !== null });
}

type Attributes = FusedAttributes & { cached: boolean };

/** The optional inputs of a node by name. */
function named<T>(inputs: readonly T[], { cached, dims }: Attributes) {
  const [q, k, v, last, total, ...rest] = inputs as [T, T, T, T, T, ...T[]];
  const past = cached ? rest.splice(0, 2) : [];
  return { q, k, v, last, total, past, tables: dims > 0 ? rest : [] };
}

const FusedAttention: Operator<Attributes, 'many'> = {
  name: 'FusedAttention',
  infer(inputs, attributes) {
    const { q, k } = named(inputs, attributes);
    const { heads, kvHeads, headDim, dims } = attributes;
    if (q.rank !== 3 || q.shape[2] !== heads * headDim || k.rank !== 3 || k.shape[2] !== kvHeads * headDim) {
      throw new GraphError('shape_mismatch', `needs queries of ${heads} and keys of ${kvHeads} heads of ${headDim}`);
    }
    if (!fusedFits(headDim) || (dims > 0 && !fusedTurns(headDim, dims))) {
      throw new GraphError('argument_invalid', `heads of ${headDim} with ${dims} turned entries have no fused form`);
    }
    return [{ dtype: q.dtype, shape: q.shape }];
  },
  onnx(emit, inputs, attributes) {
    const { q, k, v, last, total, past, tables } = named(inputs, attributes);
    const { heads, kvHeads, scale, cap, window, dims } = attributes;
    const [keys = '', values = ''] = past;
    const [out = ''] = emit.node(
      'GroupQueryAttention',
      [q, k, v, keys, values, last, total, ...tables],
      {
        num_heads: heads,
        kv_num_heads: kvHeads,
        scale: { float: scale },
        ...(cap !== null && { softcap: { float: cap } }),
        ...(window !== null && { local_window_size: window }),
        ...(dims > 0 && { do_rotary: 1 }),
      },
      { domain: 'com.microsoft', outputs: 3 },
    );
    return [out];
  },
  evaluate(inputs, attributes) {
    const { q, k, v, last, past, tables } = named<Dense>(inputs, attributes);
    const { heads, kvHeads, headDim, scale, cap, window, dims } = attributes;
    const [batch, seq] = q.shape as [number, number];
    const capacity = past[0]?.shape[2] ?? seq;
    const [keys, values] = [0, 1].map((i) =>
      Float64Array.from(past[i]?.data ?? new Float64Array(batch * kvHeads * capacity * headDim)),
    ) as [Float64Array, Float64Array];
    const out = new Float64Array(q.data.length);
    /** Vector number `head` of a row, turned to its position. */
    const vector = ({ data }: Dense, count: number, row: number, head: number, position: number, turn: boolean) => {
      const from = data.subarray((row * count + head) * headDim, (row * count + head + 1) * headDim);
      const turned = Float64Array.from(from);
      for (let i = 0; turn && i < dims / 2; i++) {
        const [c, s] = tables.map((table) => table.data[(position * dims) / 2 + i]!) as [number, number];
        turned[i] = from[i]! * c - from[i + dims / 2]! * s;
        turned[i + dims / 2] = from[i + dims / 2]! * c + from[i]! * s;
      }
      return turned;
    };
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < seq; i++) {
        const [row, position] = [b * seq + i, last.data[b]! - (seq - 1) + i];
        for (let head = 0; head < kvHeads; head++) {
          const at = ((b * kvHeads + head) * capacity + position) * headDim;
          keys.set(vector(k, kvHeads, row, head, position, true), at);
          values.set(vector(v, kvHeads, row, head, position, false), at);
        }
        for (let head = 0; head < heads; head++) {
          const query = vector(q, heads, row, head, position, true);
          const plane = (b * kvHeads + Math.floor((head * kvHeads) / heads)) * capacity;
          const first = window === null ? 0 : Math.max(0, position - window + 1);
          const scores: number[] = [];
          for (let j = first; j <= position; j++) {
            const dot = query.reduce((sum, value, e) => sum + value * keys[(plane + j) * headDim + e]!, 0) * scale;
            scores.push(cap === null ? dot : cap * Math.tanh(dot / cap));
          }
          const largest = Math.max(...scores);
          const weights = scores.map((score) => Math.exp(score - largest));
          const sum = weights.reduce((a, c) => a + c, 0);
          for (const [j, weight] of weights.entries()) {
            for (let e = 0; e < headDim; e++) {
              out[(row * heads + head) * headDim + e]! += (weight / sum) * values[(plane + first + j) * headDim + e]!;
            }
          }
        }
      }
    }
    return [out];
  },
};
