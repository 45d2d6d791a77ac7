/** What goes into a forward pass and comes out of it. */
import type { TokenRows } from './batch.ts';
import type { Intervention } from './interventions.ts';

export type ForwardRequest = {
  /** Token ids; rows of different lengths are padded on the left. */
  ids: TokenRows;
  /** Hook points to read, as `parseHook` spells them. */
  taps?: readonly string[];
  /** Where to read them: everywhere, at each row's last position, or at positions counted over the whole batch. */
  tapAt?: 'all' | 'last' | readonly number[];
  interventions?: readonly Intervention[];
  /** Logits of all positions (default), of each row's last one, or none. */
  logits?: 'all' | 'last' | 'none';
  /** Also the cross-entropy of each position's prediction of the next token. */
  losses?: boolean;
  /** Also the stream after the final norm. */
  final?: boolean;
};

export type Tap = {
  /** [batch, seq, width] or [positions, width]; attention patterns [batch, heads, seq, seq]. */
  shape: readonly number[];
  data: Float32Array;
};

export type ForwardResult = {
  batch: number;
  seq: number;
  /** Positions of padding at the beginning of each row. */
  starts: number[];
  /** [batch, seq, vocabulary], or [batch, vocabulary] for the last positions. */
  logits: Tap | null;
  /** By hook, in the spelling of `formatHook`. */
  taps: Record<string, Tap>;
  /** [batch, seq] nats; NaN where there is no next token and at padding. */
  losses: Float32Array | null;
  final: Tap | null;
};
