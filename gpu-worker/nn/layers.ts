/** Layers: small functions over symbolic tensors that make their own parameters. */
import * as g from '../graph/index.ts';
import { fanIn, ones, zeros } from './initialisers.ts';

/** x w + b for x [..., inputs]; parameters `name.weight` [inputs, outputs] and `name.bias`. */
export function linear(
  name: string,
  x: g.Tensor,
  outputs: number,
  { bias = true, initial = fanIn(-2) }: { bias?: boolean; initial?: g.Initialiser } = {},
): g.Tensor {
  const inputs = x.shape.at(-1) as number;
  const y = g.matmul(x, g.parameter(`${name}.weight`, [inputs, outputs], initial));
  return bias ? g.add(y, g.parameter(`${name}.bias`, [outputs], zeros)) : y;
}

/** Rows of a table; parameter `name.weight` [entries, width]. */
export const embedding = (
  name: string,
  positions: g.Tensor,
  [entries, width]: readonly [number, number],
  initial: g.Initialiser = fanIn(-1),
): g.Tensor => g.gather(g.parameter(`${name}.weight`, [entries, width], initial), positions, 0);

/** Layer normalisation with parameters `name.scale` and `name.bias`. */
export function layerNorm(name: string, x: g.Tensor, epsilon = 1e-5): g.Tensor {
  const width = x.shape.at(-1)!;
  return g.layerNorm(
    x,
    g.parameter(`${name}.scale`, [width], ones),
    g.parameter(`${name}.bias`, [width], zeros),
    epsilon,
  );
}

/**
 * Multi-head attention of queries, keys and values [batch, length, heads * width]. Added to the scores before the softmax:
 * `mask`, which broadcasts to [batch, heads, queries, keys] and has no gradient, and `bias` [heads, queries, keys], which
 * has one.
 */
export function attention(
  [q, k, v]: readonly [g.Tensor, g.Tensor, g.Tensor],
  heads: number,
  mask?: g.Tensor,
  bias?: g.Tensor,
): g.Tensor {
  const width = (q.shape[2] as number) / heads;
  const split = (x: g.Tensor, order: readonly number[]) =>
    g.transpose(g.reshape(x, [x.shape[0]!, x.shape[1]!, heads, width]), order);
  const [qh, kh, vh] = [split(q, [0, 2, 1, 3]), split(k, [0, 2, 1, 3]), split(v, [0, 2, 1, 3])];
  const alpha = 1 / Math.sqrt(width);
  const products = g.matmul(qh, kh, { transB: true, alpha });
  const scores = bias ? g.add(products, bias) : products;
  const weights = g.softmax(mask ? withoutDenormals(g.add(scores, mask)) : scores);
  // The softmax's row sums of weights * gradient equal those of output * gradient, which are far smaller (Dao et al.
  // 2022, FlashAttention, appendix B).
  const value = g.matmul(weights, vh);
  const mixed = g.withGradient(value, [qh, kh, vh, ...(bias ? [bias] : [])], (dy) => {
    const byWeights = g.matmul(dy, vh, { transB: true });
    const byScores = g.mul(weights, g.sub(byWeights, g.sum(g.mul(dy, value), -1, true)));
    return [
      g.matmul(byScores, kh, { alpha }),
      g.matmul(byScores, qh, { transA: true, alpha }),
      g.matmul(weights, dy, { transA: true }),
      ...(bias ? [g.sum(byScores, 0)] : []),
    ];
  });
  return g.reshape(g.transpose(mixed, [0, 2, 1, 3]), q.shape);
}

/**
 * Scores no lower than 60 below their row's largest. Their weights (e^-60 of the largest and less) do not count in
 * float32, but as denormal numbers they would slow the softmax and the products after it several times.
 */
function withoutDenormals(scores: g.Tensor): g.Tensor {
  return g.maximum(scores, g.sub(g.max(scores, -1, true), 60));
}
