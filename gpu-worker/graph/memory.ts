/** Memory that a program needs, estimated before anything is allocated. */
import { BYTES_PER_ELEMENT } from './dtype.ts';
import { isLeaf } from './operators/leaves.ts';
import type { Tensor } from './tensor.ts';
import { topological } from './topology.ts';

/** Bytes of a tensor; symbols count as `assumed`. */
export const bytesOf = ({ dtype, shape }: Tensor, assumed = 1): number =>
  shape.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : assumed), BYTES_PER_ELEMENT[dtype]);

/**
 * Largest sum of values that are alive at the same time when nodes run one by one, leaves not counted. onnxruntime
 * reuses buffers in place here and there and needs less.
 */
export function peakBytes(outputs: readonly Tensor[], assumed = 1): number {
  const nodes = topological(outputs);
  const uses = new Map<Tensor, number>();
  const count = (tensor: Tensor, by: number) => uses.set(tensor, (uses.get(tensor) ?? 0) + by);
  for (const node of nodes) {
    for (const input of node.inputs) {
      count(input, 1);
    }
  }
  for (const output of outputs) {
    count(output, 1);
  }
  let [alive, peak] = [0, 0];
  for (const node of nodes) {
    if (node.outputs.some(isLeaf)) {
      continue;
    }
    for (const output of node.outputs) {
      if (uses.has(output)) {
        alive += bytesOf(output, assumed);
      }
    }
    const within = node.operator.inside?.(node.attributes) ?? [];
    peak = Math.max(peak, alive + (within.length > 0 ? peakBytes(within, assumed) : 0));
    for (const input of node.inputs) {
      count(input, -1);
      if (uses.get(input) === 0 && !isLeaf(input)) {
        alive -= bytesOf(input, assumed);
      }
    }
  }
  return peak;
}
