/** What a study of reflection finds once directions are learned: a sweep of points, the chosen one, and its report. */
import type { SteeringMode } from '../../../shared/contracts/vector.ts';
import { steeredPointSchema } from '../../../shared/jobs/reflection.study.ts';
import { type Checkpoints, sweepPoints } from '../../study/index.ts';
import { projectionPlot } from '../plots.ts';
import { figuresOf, type Point, type PointFigures, paretoSet, type SteeredAnswers } from './frontier.ts';
import type { Layers } from './layers.ts';
import { aucPlot, frequencyPlot, tradePlot } from './plots.ts';
import type { Window } from './probing.ts';
import {
  chosenPoint,
  learnDirections,
  pointsOf,
  probeBase,
  type ReflectionStudy,
  reportPoint,
  requireParsed,
  sampledTest,
  steeredOn,
} from './study.ts';

type Asked = {
  layers: readonly number[] | null;
  modes: readonly SteeringMode[];
  alphas: readonly number[];
  window: Window;
  random_directions: number;
  forcing: { end: number; rounds: number } | null;
};
type Around = {
  /** Digests of what the sweep depends on. */
  of: Readonly<Record<string, string | null>>;
  checkpoints: Checkpoints;
  stage(name: string): void;
  swept(done: number, of: number): void;
};

const outside = ({ low, high }: { low: number; high: number }, value: number): boolean => value < low || value > high;
const counts = ({ reflecting, other }: Layers['places']['train']) => ({
  reflecting: reflecting.length,
  other: other.length,
});

/** Every point on the validation problems, with a checkpoint after each. */
async function sweptFrontier(validation: SteeredAnswers, found: Layers, asked: Asked, around: Around) {
  const points = pointsOf(found, { named: asked.layers, modes: asked.modes, alphas: asked.alphas });
  const { results } = await sweepPoints({
    points,
    of: around.of,
    result: steeredPointSchema,
    checkpoints: around.checkpoints,
    progress: (done) => around.swept(done, points.length),
    measure: async (point) => ({ ...point, ...(await validation.point(point)) }),
  });
  return results;
}

/** The base model at the points of one hook. */
async function steeredBase(study: ReflectionStudy, found: Layers, frontier: readonly Point[], at: string) {
  const answers = await steeredOn(study, found, study.problems.validation);
  const points: (Point & PointFigures)[] = [];
  for (const { hook, mode, alpha } of frontier) {
    if (hook === at) {
      points.push({ hook, mode, alpha, ...(await answers.point({ hook, mode, alpha })) });
    }
  }
  return { plain: figuresOf(answers.plain.measured, 0), points };
}

/** @throws SextantError `data_invalid` where no answer could be read, `hook_unknown` */
export async function steeredStudy(study: ReflectionStudy, asked: Asked, around: Around) {
  const { base, problems, model, seed } = study;
  const { texts, found } = await learnDirections(study);
  const { surface } = found.places.train;
  const probing = await probeBase(study, texts, surface, asked.window);
  const validation = await steeredOn(study, found, problems.validation);
  requireParsed(figuresOf(validation.plain.measured, 0), problems.validation.length);
  around.stage('steering');
  const frontier = await sweptFrontier(validation, found, asked, around);
  around.stage('reporting the chosen point');
  const best = chosenPoint(frontier);
  const chosen = { hook: best.hook, mode: best.mode, alpha: best.alpha };
  const random = await validation.random(chosen, asked.random_directions, seed);
  const positive = frontier.filter(({ alpha }) => alpha > 0);
  const enhancing = positive.length > 0 ? chosenPoint(positive) : null;
  const reported = await reportPoint(study, found, { chosen, enhancing }, asked.forcing);
  const layer = found.layers.find(({ hook }) => hook === chosen.hook)!;
  const basePlain = base && (await steeredOn({ ...study, model: base }, found, sampledTest(study)));
  const baseFrontier = base && (await steeredBase({ ...study, model: base }, found, frontier, chosen.hook));
  const pareto = paretoSet(frontier);
  const body = {
    chosen,
    sign: Math.sign(layer.projection.reflecting) || 1,
    surface: model.tokenizer?.decode([surface], { special: true }) ?? String(surface),
    places: { train: counts(found.places.train), held_out: counts(found.places.held_out) },
    problems: Object.fromEntries(Object.entries(problems).map(([split, list]) => [split, list.length])),
    ...reported,
    base_plain: basePlain && figuresOf(basePlain.plain.measured, 0),
    frontier,
    base_frontier: baseFrontier,
    pareto: pareto.map(({ hook, mode, alpha }) => ({ hook, mode, alpha })),
    random,
    claims: { frequency: outside(random.frequency, best.frequency), pass: outside(random.pass, best.pass) },
    layers: found.layers,
    probing,
  };
  const histogram = found.histograms.get(chosen.hook)!;
  const plots = [
    tradePlot(frontier, pareto, best),
    frequencyPlot(frontier),
    aucPlot(found.layers),
    projectionPlot({ reflecting: histogram.reflecting, other: histogram.other }, chosen.hook),
  ];
  return { body, plots, ...found.vectors.get(chosen.hook)!, plain: validation.plain };
}
