/** The linear layers of a block, in the order of computation, without the experts of a mixture. */
import type { LayerWeights, Linear } from '../../../shared/models/architecture.ts';

export function linearsOf({ qkv, output, gate, up, down }: LayerWeights): Linear[] {
  const inner = [gate, up, down].filter((one) => one !== null);
  return [...('q' in qkv ? [qkv.q, qkv.k, qkv.v] : [qkv.fused]), output, ...inner];
}

/** The linear layers of a block with those of every expert of a mixture. */
export const everyLinear = (layer: LayerWeights): Linear[] => [
  ...linearsOf(layer),
  ...(layer.experts?.each.flatMap(({ gate, up, down }) => [gate, up, down]) ?? []),
];
