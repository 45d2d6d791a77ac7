/** One point of a comparison from training to figures. */

import { type MacCounts, macsOf } from '../counts/model-counts.ts';
import type { LayerState, LinearLayer, Method, Values } from '../methods/method.ts';
import { liveTiles, type Tile } from '../tiles/tiles.ts';
import type { Score } from '../training/evaluation.ts';
import { sparseLayers } from '../training/model.ts';
import type { Problem } from '../training/problem.ts';
import { type CurvePoint, type RunResult, type RunState, runTraining } from '../training/run.ts';
import type { Subject } from '../training/subject.ts';
import { methodOf, type Plan, type Point, penaltyUnit } from './points.ts';

type LayerFigures = { name: string; tiles: number; zero: number };
export type PointFigures = {
  point: Point;
  /** The penalty in units of the critical one. */
  lambdaShare: number | null;
  validation: Score;
  test: Score;
  layers: LayerFigures[];
  zeroShare: number;
  /** What a counter finds that tests weights for being below 1e-4 without taking their magnitude. */
  signedTestShare: number;
  /** Trained numbers of the whole model. */
  parameters: number;
  macs: MacCounts;
  seconds: number;
  stopped: RunResult['stopped'];
  /** Tile sizes that a search left to each layer. */
  survivingTiles: Record<string, Tile[]> | null;
  curve: readonly CurvePoint[];
};
export type PointModel = {
  method: Method;
  layers: readonly LinearLayer[];
  values: Values;
  states: ReadonlyMap<string, LayerState>;
};
export type MeasuredPoint = { figures: PointFigures; model: PointModel };

export type MeasureOptions = {
  subject: Subject;
  plan: Plan;
  threads: number;
  memoryBudget?: number;
  resume?: RunState;
  onChunk?(point: CurvePoint, take: () => Promise<RunState>): void | Promise<void>;
};

/** @throws EngineError `loss_not_finite`, `memory_budget_exceeded` */
export async function measurePoint(point: Point, options: MeasureOptions): Promise<MeasuredPoint> {
  const { subject, plan, threads } = options;
  const layers = sparseLayers(subject.shapes, point.tile);
  const run = await runPoint(point, subject.problem(point.seed), layers, options);
  const model = modelOf(run, layers);
  const test = await subject.test({ method: run.method, layers, gain: plan.gain }, run.values, threads);
  const figures = figuresOf(point, plan, run, model, test);
  const live = Object.fromEntries(figures.layers.map(({ name, tiles, zero }) => [name, tiles - zero]));
  const macs = macsOf(subject.shapes, subject.otherMacs, { layers, rank: run.method.rank, live });
  return { figures: { ...figures, macs }, model };
}

/** The training of a point. */
function runPoint(
  point: Point,
  problem: Problem,
  layers: readonly LinearLayer[],
  {
    plan,
    threads,
    memoryBudget,
    resume,
    onChunk,
  }: Pick<MeasureOptions, 'plan' | 'threads' | 'memoryBudget' | 'resume' | 'onChunk'>,
): Promise<RunResult> {
  return runTraining({
    problem,
    method: methodOf(plan, point, layers),
    layers,
    steps: plan.steps,
    debiasSteps: plan.debiasSteps,
    optimiser: plan.optimiser,
    rate: plan.rate,
    seed: point.seed,
    gain: plan.gain,
    threads,
    ...(memoryBudget !== undefined && { memoryBudget }),
    ...(resume && { resume }),
    ...(onChunk && { onChunk }),
  });
}

const modelOf = ({ method, values }: RunResult, layers: readonly LinearLayer[]): PointModel => ({
  method,
  layers,
  values,
  states: new Map(layers.map((layer) => [layer.name, method.state(layer, values)])),
});

/** Everything but the multiply-adds. */
function figuresOf(
  point: Point,
  plan: Plan,
  { values, validation, seconds, stopped, curve }: RunResult,
  { method, layers, states }: PointModel,
  test: Score,
): Omit<PointFigures, 'macs'> {
  const each = layers.map(({ name, grid }) => {
    const live = liveTiles(states.get(name)?.weight ?? [], grid);
    return { name, tiles: live.length, zero: live.reduce((sum, alive) => sum + 1 - alive, 0) };
  });
  const tiles = each.reduce((sum, layer) => sum + layer.tiles, 0);
  const weights = layers.map(({ name }) => states.get(name)?.weight ?? new Float32Array());
  const numbers = weights.reduce((sum, weight) => sum + weight.length, 0);
  const signed = weights.reduce((sum, weight) => sum + weight.reduce((count, w) => count + Number(w < 1e-4), 0), 0);
  return {
    point,
    lambdaShare: point.lambda === null ? null : point.lambda / penaltyUnit(plan).critical,
    validation,
    test,
    layers: each,
    zeroShare: tiles > 0 ? each.reduce((sum, layer) => sum + layer.zero, 0) / tiles : 0,
    signedTestShare: numbers > 0 ? signed / numbers : 0,
    parameters: Object.values(values).reduce((sum, { data }) => sum + data.length, 0),
    seconds,
    stopped,
    survivingTiles: method.survivors
      ? Object.fromEntries(layers.map((layer) => [layer.name, method.survivors?.(layer) ?? []]))
      : null,
    curve,
  };
}
