/** Interventions that put another run's values in the place of a hook's own, as far as each row says. */
import * as g from '../../graph/index.ts';
import type { Intervention } from '../../lm/index.ts';

type Blend = {
  hook: string;
  /** Values of the other run, [recorded, ...]; what follows is as at the hook. */
  reference: { shape: readonly number[]; data: Float32Array };
  /** Of each row: the row of `reference` that belongs to it. */
  pairs: Float32Array;
  /** How much is taken of the reference; broadcasts to the hook's values. */
  share: { shape: readonly number[]; data: Float32Array };
  /** What the rest is, where it is not what the model computes there; shaped as `reference`. */
  base?: Float32Array | null;
  /** [rows, seq, 1]: at positions that are 0 nothing is taken. */
  positions?: Float32Array | null;
};

export function blendAt({ hook, reference, pairs, share, base = null, positions = null }: Blend): Intervention {
  const rows = pairs.length;
  const [, second, last] = reference.shape;
  // [recorded, seq, width], or of attention patterns [recorded, heads, seq, seq].
  const recorded: g.Dim[] =
    reference.shape.length === 4 ? ['recorded', second!, 'seq', 'seq'] : ['recorded', 'seq', last!];
  return {
    kind: 'splice',
    hook,
    key: `blend ${base ? 'over another' : ''} ${positions ? 'marked' : ''} ${share.shape.length}`,
    feeds: {
      pairs: { shape: [rows], data: pairs },
      reference,
      share,
      ...(base && { base: { shape: reference.shape, data: base } }),
      ...(positions && { marked: { shape: [rows, second!, 1], data: positions } }),
    },
    build(x, feed) {
      const index = g.cast(feed('pairs', ['batch']), 'int64');
      const from = base ? g.gather(feed('base', recorded), index) : x;
      const own: g.Dim[] = share.shape.map((size, axis) => (axis === 0 ? 'batch' : size));
      const by = g.mul(g.sub(g.gather(feed('reference', recorded), index), from), feed('share', own));
      return g.add(from, positions ? g.mul(by, feed('marked', ['batch', 'seq', 1])) : by);
    },
  };
}
