/** How the weights of a new transformer start. */
import type { Architecture, Linear, ModelWeights, Norm, Weight } from '../../../shared/models/architecture.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import type * as g from '../../graph/index.ts';
import { fanIn, filledWith, normal, zeros } from '../../nn/index.ts';

/**
 * An initialiser for every weight by name: matrices normal with variance 1 / inputs, those that write to the stream
 * shrunk by sqrt(2 layers) so that its size does not grow with depth (Radford et al. 2019), embeddings normal with
 * deviation 0.02, norms 1, biases 0.
 */
export function initialisers(a: Architecture, weights: ModelWeights): Map<string, g.Initialiser> {
  const found = new Map<string, g.Initialiser>();
  const norm = ({ weight, bias }: Norm) => {
    found.set(weight.name, a.norm.weightOffset === 1 ? zeros : filledWith(1));
    if (bias) {
      found.set(bias.name, zeros);
    }
  };
  const linear = ({ weight, bias, layout }: Linear, gain = 1) => {
    if (!found.has(weight.name)) {
      found.set(weight.name, fanIn(layout === 'out_in' ? 1 : 0, gain));
    }
    if (bias) {
      found.set(bias.name, zeros);
    }
  };
  const table = ({ name }: Weight) => found.set(name, normal(0.02));
  table(weights.embedding);
  if (weights.positions) {
    table(weights.positions);
  }
  for (const layer of weights.layers) {
    const { qkv, output, down } = layer;
    for (const value of Object.values(layer)) {
      if (typeof value === 'object' && value && 'weight' in value && !('layout' in value)) {
        norm(value);
      }
    }
    for (const projection of 'q' in qkv ? [qkv.q, qkv.k, qkv.v] : [qkv.fused]) {
      linear(projection);
    }
    const each = layer.experts?.each ?? [];
    const inner = each.flatMap((expert) => [expert.gate, expert.up]);
    for (const projection of [layer.gate, layer.up, layer.experts?.router, ...inner]) {
      if (projection) {
        linear(projection);
      }
    }
    for (const projection of [output, down, ...each.map((expert) => expert.down)]) {
      if (projection) {
        linear(projection, 1 / Math.sqrt(2 * a.layers));
      }
    }
  }
  norm(weights.finalNorm);
  linear(weights.head);
  const missing = listWeights(weights).find(({ name }) => !found.has(name));
  if (missing) {
    throw new Error(`no initialiser for '${missing.name}'`);
  }
  return found;
}
