/** Reverse mode: gradients of a scalar as more graph. */

import { GraphError } from './errors.ts';
import { add } from './operators/elementwise.ts';
import { filled, isNamed, nameOf, scalar } from './operators/leaves.ts';
import type { Node, Tensor } from './tensor.ts';
import { topological } from './topology.ts';

/**
 * d loss / d t for each tensor `t` of `by`. `loss` has one element. Where an operator has no gradient (comparisons,
 * positions, stopped gradients) nothing flows; a tensor that no gradient reaches raises `gradient_unreachable`.
 */
export function gradients(loss: Tensor, by: readonly Tensor[]): Tensor[] {
  if (loss.shape.some((dim) => dim !== 1)) {
    throw new GraphError(
      'gradient_undefined',
      `the gradient of ${loss}: a loss has one element; sum or average it first`,
    );
  }
  const nodes = topological([loss]);
  const wanted = new Set<Tensor>(by);
  const depends = new Set<Node>();
  for (const node of nodes) {
    if (node.outputs.some((output) => wanted.has(output)) || node.inputs.some((input) => depends.has(input.node))) {
      depends.add(node);
    }
  }
  const total = new Map<Tensor, Tensor>([[loss, filledOnes(loss)]]);
  for (const node of nodes.reverse()) {
    if (!depends.has(node) || !node.operator.gradient) {
      continue;
    }
    const { inputs, outputs, attributes } = node;
    const known = outputs.map((output) => total.get(output));
    if (known.every((gradient) => gradient === undefined)) {
      continue;
    }
    const parts = node.operator.gradient({ inputs, outputs, by: known, attributes });
    inputs.forEach((input, i) => {
      const part = parts[i];
      if (!part || !depends.has(input.node)) {
        return;
      }
      const before = total.get(input);
      total.set(input, before ? add(before, part) : part);
    });
  }
  return by.map((tensor) => {
    const gradient = total.get(tensor);
    if (gradient) {
      return gradient;
    }
    const what = isNamed(tensor) ? `'${nameOf(tensor)}'` : String(tensor);
    throw new GraphError('gradient_unreachable', `no gradient of the loss reaches ${what}; freeze it or use it`);
  });
}

const filledOnes = (loss: Tensor): Tensor =>
  loss.rank === 0 ? scalar(1, loss.dtype) : filled(loss.shape, 1, loss.dtype);
