/** Order of computation. */
import type { Node, Tensor } from './tensor.ts';

/**
 * Every node that the outputs depend on, each after its inputs; nodes behind tensors that are `known` are left out.
 * Iterative, so that deep graphs do not overflow the stack.
 */
export function topological(outputs: readonly Tensor[], known: (tensor: Tensor) => boolean = () => false): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  const stack = [...new Set(outputs.map((output) => output.node))].reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1]!;
    if (state.get(node) === undefined) {
      state.set(node, 'open');
      for (let i = node.inputs.length - 1; i >= 0; i--) {
        const next = node.inputs[i]!;
        if (!known(next) && state.get(next.node) === undefined) {
          stack.push(next.node);
        }
      }
      continue;
    }
    stack.pop();
    if (state.get(node) === 'done') {
      continue;
    }
    state.set(node, 'done');
    order.push(node);
  }
  return order;
}
