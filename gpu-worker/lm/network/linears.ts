/** The linear layers of a block, in the order of computation. */
import type { LayerWeights, Linear } from '../../../shared/models/architecture.ts';

export function linearsOf({ qkv, output, gate, up, down }: LayerWeights): Linear[] {
  return [...('q' in qkv ? [qkv.q, qkv.k, qkv.v] : [qkv.fused]), output, ...(gate ? [gate] : []), up, down];
}
