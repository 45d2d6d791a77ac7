/** Optimisers: how one parameter and its state move in one step. */
import * as g from '../graph/index.ts';

type Update = {
  parameter: g.Tensor;
  gradient: g.Tensor;
  slots: Readonly<Record<string, g.Tensor>>;
  scalars: Readonly<Record<string, g.Tensor>>;
  /** Multiplier of the learning rate for this parameter's group. */
  rate: number;
  /** Weight decay of this parameter's group, if it has one of its own. */
  weightDecay: number | undefined;
};

export type Optimiser = {
  name: string;
  /** Numbers that must agree when a checkpoint is resumed. */
  settings: Readonly<Record<string, number>>;
  /** State kept per parameter, of its shape, zero at the start. */
  slots: readonly string[];
  /** Scalars of step `step` (from 1) at learning rate `rate`, computed in float64 on the host and fed to the program. */
  scalars(step: number, rate: number): Readonly<Record<string, number>> & { readonly rate: number };
  update(update: Update): { parameter: g.Tensor; slots: Readonly<Record<string, g.Tensor>> };
};

/** p <- p - rate * m, m <- momentum * m + gradient (+ weightDecay * p). */
export function sgd({ momentum = 0, weightDecay = 0 } = {}): Optimiser {
  return {
    name: 'sgd',
    settings: { momentum, weightDecay },
    slots: momentum === 0 ? [] : ['momentum'],
    scalars: (_, rate) => ({ rate }),
    update({ parameter, gradient, slots, scalars, rate, weightDecay: own }) {
      const decay = own ?? weightDecay;
      const slope = decay === 0 ? gradient : g.add(gradient, g.mul(parameter, decay));
      const velocity = slots.momentum ? g.add(g.mul(slots.momentum, momentum), slope) : slope;
      const next = g.sub(parameter, g.mul(velocity, g.mul(scalars.rate!, rate)));
      return { parameter: next, slots: slots.momentum ? { momentum: velocity } : {} };
    },
  };
}

type AdamOptions = { beta1?: number; beta2?: number; epsilon?: number; weightDecay?: number };

/**
 * Adam (Kingma & Ba 2015). The slots hold m / (1 - beta1) and v / (1 - beta2), so that each costs one pass less over
 * memory; the factors and the bias corrections are in two scalars per step. Weight decay is added to the gradient.
 */
export const adam = (options: AdamOptions = {}): Optimiser => adamFamily('adam', options);
/** AdamW (Loshchilov & Hutter 2019): weight decay acts on the parameter itself, p <- p - rate * weightDecay * p. */
export const adamW = (options: AdamOptions = {}): Optimiser => adamFamily('adamW', { weightDecay: 0.01, ...options });

function adamFamily(name: 'adam' | 'adamW', options: AdamOptions): Optimiser {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  return {
    name,
    settings: { beta1, beta2, epsilon, weightDecay },
    slots: ['first', 'second'],
    scalars(step, rate) {
      const firstFactor = (1 - beta1) / (1 - beta1 ** step);
      const secondFactor = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
      return { rate, move: (rate * firstFactor) / secondFactor, floor: epsilon / secondFactor };
    },
    update({ parameter, gradient, slots, scalars, rate, weightDecay: own }) {
      const decay = own ?? weightDecay;
      const slope = decay !== 0 && name === 'adam' ? g.add(gradient, g.mul(parameter, decay)) : gradient;
      const first = g.add(g.mul(slots.first!, beta1), slope);
      const second = g.add(g.mul(slots.second!, beta2), g.square(slope));
      const direction = g.div(first, g.add(g.sqrt(second), scalars.floor!));
      const kept = decay !== 0 && name === 'adamW' ? decayed(parameter, scalars.rate!, rate * decay) : parameter;
      return { parameter: g.sub(kept, g.mul(direction, g.mul(scalars.move!, rate))), slots: { first, second } };
    },
  };
}

const decayed = (parameter: g.Tensor, rate: g.Tensor, factor: number): g.Tensor =>
  g.mul(parameter, g.sub(1, g.mul(rate, factor)));
