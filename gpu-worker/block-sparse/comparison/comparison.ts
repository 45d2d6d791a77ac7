/** All points of a comparison in turn, with what is known of them between two steps; then what they say together. */

import type { Tile } from '../tiles/tiles.ts';
import type { CurvePoint, RunState } from '../training/run.ts';
import type { Subject } from '../training/subject.ts';
import { atEqualSparsity, chosenPoint, groupedBy, type Measured, settingKey, spread } from './frontier.ts';
import { type MeasuredPoint, measurePoint, type PointFigures, type PointModel } from './measure.ts';
import { type Plan, type Point, pointsOf } from './points.ts';

export type Progress = {
  /** Points done, of how many, and steps of the one in progress. */
  done: number;
  points: number;
  share: number;
  curve: CurvePoint;
  zeroShare: number;
  secondsLeft: number;
};

type ComparisonOptions = {
  subject: Subject;
  plan: Plan;
  threads: number;
  memoryBudget: number;
  /** Where an earlier attempt stood. */
  done: readonly PointFigures[];
  run: RunState | null;
  progress(progress: Progress): void;
  save(done: readonly PointFigures[], take: () => Promise<RunState>): Promise<void>;
};

/** Measures what is missing. Models of points that an earlier attempt measured are not among `models`. */
export async function comparePoints(
  options: ComparisonOptions,
): Promise<{ figures: PointFigures[]; models: Map<string, PointModel> }> {
  const { subject, plan, threads, memoryBudget, progress, save } = options;
  const points = pointsOf(plan);
  const figures = [...options.done];
  const models = new Map<string, PointModel>();
  const total = plan.steps + plan.debiasSteps;
  const [began, before] = [performance.now(), figures.length];
  for (const point of points.slice(figures.length)) {
    const resume = figures.length === before ? options.run : null;
    const measured = await measurePoint(point, {
      subject,
      plan,
      threads,
      memoryBudget,
      ...(resume && { resume }),
      async onChunk(curve, take) {
        const share = (figures.length + curve.step / total) / points.length;
        const gained = share - (before + (options.run?.training.step ?? 0) / total) / points.length;
        const elapsed = (performance.now() - began) / 1000;
        progress({
          done: figures.length,
          points: points.length,
          share,
          curve,
          zeroShare: zeroShareOf(subject, point.tile, curve),
          secondsLeft: gained > 0 ? (elapsed * (1 - share)) / gained : 0,
        });
        await save(figures, take);
      },
    });
    figures.push(measured.figures);
    models.set(JSON.stringify(point), measured.model);
  }
  return { figures, models };
}

function zeroShareOf({ shapes }: Subject, [m, n]: Tile, { zero }: CurvePoint): number {
  const tiles = Object.keys(zero).reduce((sum, name) => {
    const shape = shapes.find((other) => other.name === name);
    return sum + (shape ? (shape.inputs / m) * (shape.outputs / n) : 0);
  }, 0);
  return tiles > 0 ? Object.values(zero).reduce((sum, count) => sum + count, 0) / tiles : 0;
}

/** Accuracy where there is one, else minus the loss: more is better. */
const scoreOf = ({ loss, accuracy }: PointFigures['test']): number => accuracy ?? -loss;
export const measuredOn = (
  part: 'validation' | 'test',
  all: readonly PointFigures[],
): (Measured & { figures: PointFigures })[] =>
  all.map((figures) => ({
    point: figures.point,
    score: scoreOf(figures[part]),
    zeroShare: figures.zeroShare,
    figures,
  }));

/** One entry for each setting, over its seeds, measured on the test rows. */
export const frontierOf = (all: readonly PointFigures[]) =>
  groupedBy(all, ({ point }) => settingKey(point)).map((group) => {
    const { point, parameters, macs } = group[0]!;
    const { method, tile, lambda, sparsity } = point;
    return {
      ...{ method, tile, lambda, sparsity, parameters },
      score: spread(group.map(({ test }) => test.accuracy ?? Math.exp(test.loss))),
      zeroShare: spread(group.map(({ zeroShare }) => zeroShare)),
      trainingMacs: macs.training,
      inferenceMacs: spread(group.map((one) => one.macs.inference)),
      seconds: spread(group.map(({ seconds }) => seconds)),
    };
  });

/** Shares of zero tiles at which methods are compared. */
const SHARES = [0.25, 0.5, 0.75, 0.9];
export const comparedAtEqualSparsity = (all: readonly PointFigures[]) =>
  atEqualSparsity(measuredOn('test', all), SHARES);

/** The chosen point's figures, by the validation rows; a dense model is chosen only where there is nothing else. */
export function chosenFigures(all: readonly PointFigures[], tolerance: number): PointFigures {
  const sparse = all.filter(({ point }) => point.method !== 'dense');
  const among = sparse.length > 0 ? sparse : all;
  return chosenPoint(measuredOn('validation', among), tolerance).figures;
}

/** The model of a point, trained again where an earlier attempt measured it: equal settings give equal bits. */
export async function modelOfPoint(
  point: Point,
  models: ReadonlyMap<string, PointModel>,
  again: () => Promise<MeasuredPoint>,
): Promise<PointModel> {
  return models.get(JSON.stringify(point)) ?? (await again()).model;
}
