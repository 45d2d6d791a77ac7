/** Losses, composed of operators. */
import { add, mul, neg, softplus, square, sub } from './elementwise.ts';
import { gatherElements } from './indexing.ts';
import { squeeze, unsqueeze } from './layout.ts';
import { logSoftmax } from './normalise.ts';
import { mean } from './reductions.ts';
import type { Tensor } from './tensor.ts';

/** -log softmax(logits)[label] of each row: logits [..., classes], labels int [...]. Result [...]. */
export function crossEntropyRows(logits: Tensor, labels: Tensor): Tensor {
  const picked = gatherElements(logSoftmax(logits), unsqueeze(labels, -1), -1);
  return neg(squeeze(picked, -1));
}
/** Mean cross-entropy over all rows. */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor => mean(crossEntropyRows(logits, labels));

/** Mean over all elements of log(1 + exp(x)) - x y, the cross-entropy of sigmoid(x) with y in [0, 1]. */
export const binaryCrossEntropy = (logits: Tensor, targets: Tensor): Tensor =>
  mean(add(softplus(logits), neg(mul(logits, targets))));

/** Mean of squared differences over all elements. */
export const meanSquaredError = (a: Tensor, b: Tensor): Tensor => mean(square(sub(a, b)));
