/** From a loss and an optimiser to the program of one training step. */

import * as g from '../graph/index.ts';
import { namedLeaves, Parameter, type StepSpec } from '../graph/index.ts';
import type { Optimiser } from '../nn/index.ts';
import { type Constraint, type Match, matches } from './constraints.ts';

export type ParameterGroup = {
  match: Match;
  /** Multiplies the learning rate. */
  rate?: number;
  weightDecay?: number;
  /** Kept as it is; no gradient is computed for it. */
  frozen?: boolean;
};

export type TrainingProgram = {
  name: string;
  /** The scalar to be minimised. */
  loss: g.Tensor;
  /** Other values to be returned at every step. */
  metrics?: Readonly<Record<string, g.Tensor>>;
  optimiser: Optimiser;
  /** The first group that matches a parameter's name counts. */
  groups?: readonly ParameterGroup[];
  /** Gradients are scaled down so that their common norm is at most this. */
  clipNorm?: number;
  constraints?: readonly Constraint[];
  /** Decay of an exponential moving average of all trained parameters. */
  average?: number;
  /** Inputs that keep one value for all steps of a chunk. */
  shared?: readonly string[];
};

/** A step program together with the roles of its inputs. */
export type TrainingStep = {
  spec: StepSpec;
  trained: readonly g.Tensor[];
  frozen: readonly g.Tensor[];
  /** Optimiser state and averages: state name and the parameter that it belongs to. */
  slots: readonly { leaf: g.Tensor; of: g.Tensor; role: 'slot' | 'average' }[];
  scalars: readonly string[];
  batch: readonly g.Tensor[];
  shared: readonly g.Tensor[];
  gradients: Readonly<Record<string, g.Tensor>>;
};

export const AVERAGE = 'average';
const scalarName = (optimiser: Optimiser, name: string) => `${optimiser.name}:${name}`;

export function trainingStep(options: TrainingProgram): TrainingStep {
  const { name, loss, metrics = {}, optimiser, groups = [], constraints = [], average, shared = [] } = options;
  const leaves = namedLeaves([loss, ...Object.values(metrics)]);
  const groupOf = (tensor: g.Tensor) => groups.find(({ match }) => matches(match, g.nameOf(tensor)));
  const parameters = leaves.filter((leaf) => leaf.node.operator === Parameter);
  const trained = parameters.filter((leaf) => !groupOf(leaf)?.frozen);
  const scalarNames = Object.keys(optimiser.scalars(1, 1));
  const scalars = Object.fromEntries(scalarNames.map((key) => [key, g.input(scalarName(optimiser, key), [])]));
  const { gradients, norm } = stepGradients(options, trained, constraints);

  const carried: { leaf: g.Tensor; next: g.Tensor }[] = [];
  const slots: TrainingStep['slots'][number][] = [];
  const states: typeof carried = [];
  trained.forEach((parameter, i) => {
    const of = g.nameOf(parameter);
    const group = groupOf(parameter);
    const own = Object.fromEntries(optimiser.slots.map((slot) => [slot, g.input(`${slot}:${of}`, parameter.shape)]));
    const moved = optimiser.update({
      parameter,
      gradient: gradients[i]!,
      slots: own,
      scalars,
      rate: group?.rate ?? 1,
      weightDecay: group?.weightDecay,
    });
    const applied = constraints.filter((constraint) => constraint.applies(of));
    const step = { rate: g.mul(scalars.rate!, group?.rate ?? 1), before: parameter };
    const next = applied.reduce((value, constraint) => constraint.parameter?.(value, step) ?? value, moved.parameter);
    carried.push({ leaf: parameter, next });
    for (const slot of optimiser.slots) {
      const kept = applied.reduce((value, constraint) => constraint.slot?.(value) ?? value, moved.slots[slot]!);
      states.push({ leaf: own[slot]!, next: kept });
      slots.push({ leaf: own[slot]!, of: parameter, role: 'slot' });
    }
    if (average !== undefined) {
      const mean = g.input(`${AVERAGE}:${of}`, parameter.shape);
      states.push({ leaf: mean, next: g.add(g.mul(mean, average), g.mul(next, 1 - average)) });
      slots.push({ leaf: mean, of: parameter, role: AVERAGE });
    }
  });

  // Constraints may read inputs that neither the loss nor a metric knows.
  const known = new Set([...parameters, ...Object.values(scalars), ...slots.map(({ leaf }) => leaf)]);
  const inputs = namedLeaves([
    loss,
    ...Object.values(metrics),
    ...[...carried, ...states].map(({ next }) => next),
  ]).filter((leaf) => !known.has(leaf));
  const isShared = (leaf: g.Tensor) => shared.includes(g.nameOf(leaf));
  const frozen = parameters.filter((leaf) => !trained.includes(leaf));
  const batch = inputs.filter((leaf) => !isShared(leaf));
  const sharedInputs = inputs.filter(isShared);
  const usedScalars = Object.values(scalars).filter((scalar) => isUsed(scalar, [...carried, ...states]));
  const spec: StepSpec = {
    name,
    carried: [...carried, ...states],
    perStep: [...batch, ...usedScalars],
    shared: [...frozen, ...sharedInputs],
    collected: { loss, ...metrics, ...(norm && { gradient_norm: norm }) },
  };
  return {
    spec,
    trained,
    frozen,
    slots,
    scalars: usedScalars.map(g.nameOf),
    batch,
    shared: sharedInputs,
    gradients: Object.fromEntries(trained.map((parameter, i) => [g.nameOf(parameter), gradients[i]!])),
  };
}

/** Gradients after the constraints, clipped by their common norm. */
function stepGradients(
  { loss, clipNorm }: TrainingProgram,
  trained: readonly g.Tensor[],
  constraints: readonly Constraint[],
) {
  const raw = g
    .gradients(loss, trained)
    .map((gradient, i) =>
      constraints
        .filter((constraint) => constraint.applies(g.nameOf(trained[i]!)))
        .reduce((value, constraint) => constraint.gradient?.(value, trained[i]!) ?? value, gradient),
    );
  if (clipNorm === undefined) {
    return { gradients: raw, norm: undefined };
  }
  const norm = g.sqrt(g.addAll(raw.map((gradient) => g.sum(g.square(gradient)))));
  const scale = g.minimum(g.div(g.scalar(clipNorm), g.add(norm, 1e-6)), 1);
  return { gradients: raw.map((gradient) => g.mul(gradient, scale)), norm };
}

const isUsed = (leaf: g.Tensor, outputs: readonly { next: g.Tensor }[]): boolean =>
  namedLeaves(outputs.map(({ next }) => next)).includes(leaf);

/** The scalars of `count` steps from step `first` (1-based), one array per used scalar. */
export function scalarFeeds(
  optimiser: Optimiser,
  used: readonly string[],
  rate: (step: number) => number,
  [first, count]: readonly [number, number],
): Record<string, Float32Array> {
  const feeds = Object.fromEntries(used.map((name) => [name, new Float32Array(count)]));
  for (let i = 0; i < count; i++) {
    for (const [key, value] of Object.entries(optimiser.scalars(first + i, rate(first + i)))) {
      const array = feeds[scalarName(optimiser, key)];
      if (array) {
        array[i] = value;
      }
    }
  }
  return feeds;
}
