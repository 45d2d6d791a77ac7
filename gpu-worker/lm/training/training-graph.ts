/** The loss of a transformer as a function of its weights, with static sizes, for training and for gradients. */
import type { Architecture, ModelWeights, Weight } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { positionsOf } from '../inference/batch.ts';
import { type HookPoints, TappedHookPoints } from '../network/hook-points.ts';
import { causalMask } from '../network/masks.ts';
import { rotaryTables } from '../network/rotary.ts';
import { transformer } from '../network/transformer.ts';
import { initialisers } from '../weights/initialise.ts';

type LossGraph = {
  /** Mean cross-entropy in nats, of the inputs `ids` and `labels`, int64 [batch, seq] each. */
  loss: g.Tensor;
  logits: g.Tensor;
  /** The parameter of each weight, by name. */
  parameters: ReadonlyMap<string, g.Tensor>;
};

/**
 * `seq` positions that each predict a label. With `weighted`, the input `weights` [batch, seq] says how much each
 * prediction counts, and the loss is the weighted mean.
 */
export function lossGraph(
  a: Architecture,
  weights: ModelWeights,
  {
    batch,
    seq,
    weighted = false,
    hookPoints = new TappedHookPoints(),
    made = () => undefined,
  }: {
    batch: number;
    seq: number;
    weighted?: boolean;
    hookPoints?: HookPoints;
    /** Weights that are computed of other parameters, in the shape in which they are stored. */
    made?: (weight: Weight) => g.Tensor | undefined;
  },
): LossGraph {
  const initial = initialisers(a, weights);
  const parameters = new Map<string, g.Tensor>();
  const get = ({ name, shape }: Weight) => {
    const known = parameters.get(name) ?? made({ name, shape }) ?? g.parameter(name, shape, initial.get(name));
    parameters.set(name, known);
    return known;
  };
  const masks = new Map(a.windows.map((window) => [window, g.constant(causalMask(seq, window), [seq, seq])]));
  const tables = new Map(
    (['rope', 'localRope'] as const).flatMap((kind) => {
      const rope = a[kind];
      if (!rope) {
        return [];
      }
      const { cosines, sines } = rotaryTables(rope, seq);
      const shape = [seq, rope.dims / 2];
      return [[kind, { cosines: g.constant(cosines, shape), sines: g.constant(sines, shape) }] as const];
    }),
  );
  const out = transformer(
    a,
    weights,
    get,
    {
      ids: g.input('ids', [batch, seq], 'int64'),
      positions: g.constant(positionsOf(new Array<number>(batch).fill(0), seq), [batch, seq], 'int64'),
      rotary(layer) {
        const kind = a.turned[layer] ?? null;
        return (kind && tables.get(kind)) ?? null;
      },
      mask: (layer) => masks.get(a.windows[layer]!)!,
      past: null,
      fused: null,
    },
    hookPoints,
  );
  const logits = out.grid.split(out.logits(out.final));
  const losses = g.crossEntropyRows(logits, g.input('labels', [batch, seq], 'int64'));
  if (!weighted) {
    return { loss: g.mean(losses), logits, parameters };
  }
  const share = g.input('weights', [batch, seq]);
  return { loss: g.div(g.sum(g.mul(losses, share)), g.sum(share)), logits, parameters };
}
