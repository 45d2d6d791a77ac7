/** Losses, composed of operators. */

import type { Tensor } from '../tensor.ts';
import { withGradient } from './custom.ts';
import { add, exp, mul, neg, softplus, square, sub } from './elementwise.ts';
import { addElements, gatherElements } from './indexing.ts';
import { expandLike, squeeze, unsqueeze } from './layout.ts';
import { scalar } from './leaves.ts';
import { logSoftmax } from './normalise.ts';
import { mean } from './reductions.ts';

/** -log softmax(logits)[label] of each row: logits [..., classes], labels int [...]. Result [...]. */
export function crossEntropyRows(logits: Tensor, labels: Tensor): Tensor {
  const [logProbabilities, column] = [logSoftmax(logits), unsqueeze(labels, -1)];
  const loss = neg(squeeze(gatherElements(logProbabilities, column, -1), -1));
  // softmax - one-hot, without ever storing the one-hot rows.
  return withGradient(loss, [logits], (dy) => {
    const difference = addElements(exp(logProbabilities), column, expandLike(scalar(-1, logits.dtype), column), -1);
    return [mul(difference, unsqueeze(dy, -1))];
  });
}
/** Mean cross-entropy over all rows. */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor => mean(crossEntropyRows(logits, labels));

/** Mean over all elements of log(1 + exp(x)) - x y, the cross-entropy of sigmoid(x) with y in [0, 1]. */
export const binaryCrossEntropy = (logits: Tensor, targets: Tensor): Tensor =>
  mean(add(softplus(logits), neg(mul(logits, targets))));

/** Mean of squared differences over all elements. */
export const meanSquaredError = (a: Tensor, b: Tensor): Tensor => mean(square(sub(a, b)));
