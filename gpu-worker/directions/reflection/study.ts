/** The study of reflection from a model's own answers on: directions, steering chosen on one split, reported on another. */

import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SteeringMode } from '../../../shared/contracts/vector.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { readWeight } from '../../lm/index.ts';
import {
  answersOf,
  type Decoding,
  forcedAnswers,
  type Measured,
  type Measuring,
  measureAnswers,
  type Problem,
} from './answers.ts';
import { figuresOf, gainOver, type Point, type PointFigures, SteeredAnswers } from './frontier.ts';
import { type Layers, layersOf } from './layers.ts';
import type { Text } from './positions.ts';
import { PREFIXES, probe, probingPrefixes, type Window } from './probing.ts';
import type { Estimator } from './separability.ts';

export type ReflectionStudy = {
  model: LanguageModel;
  base: LanguageModel | null;
  problems: Record<'train' | 'validation' | 'test', readonly Problem[]>;
  transfer: readonly Problem[] | null;
  triggers: ReadonlySet<number>;
  decoding: Decoding;
  measuring: Measuring;
  lookAhead: number;
  estimator: Estimator;
  shuffles: number;
  centred: boolean;
  during: 'all' | 'generated';
  /** Answers to each test problem. */
  samples: number;
  seed: number;
};

/** Layers that are steered where none is named. */
const BEST = 3;

/** The model's answers as texts, cut at its context. */
async function textsOf({ model, decoding }: ReflectionStudy, problems: readonly Problem[]): Promise<Text[]> {
  const answers = await answersOf(
    model,
    problems.map(({ ids }) => ids),
    decoding,
  );
  return answers.map(({ tokens }, i) => ({
    ids: [...problems[i]!.ids, ...tokens].slice(0, model.architecture.context),
    from: problems[i]!.ids.length,
  }));
}

/** Rows of the head, of the triggers. */
function headRows({ folder, architecture }: LanguageModel, triggers: ReadonlySet<number>): Float32Array[] {
  const { weight } = folder.weights.head;
  const rows = readWeight(folder, weight.name);
  return [...triggers].map((id) => rows.subarray(id * architecture.width, (id + 1) * architecture.width));
}

export async function learnDirections(study: ReflectionStudy): Promise<{ texts: Text[]; found: Layers }> {
  const { model, base, problems, transfer, triggers, lookAhead, estimator, shuffles, seed } = study;
  const train = await textsOf(study, problems.train);
  const texts = {
    train,
    held_out: await textsOf(study, problems.validation),
    transfer: transfer && (await textsOf(study, transfer)),
  };
  const unembedding = headRows(model, triggers);
  const found = await layersOf(model, base, texts, { triggers, lookAhead, estimator, shuffles, seed, unembedding });
  return { texts: train, found };
}

/** The base model on the tuned model's reasoning. */
export async function probeBase(study: ReflectionStudy, texts: readonly Text[], surface: number, window: Window) {
  const { base, triggers, decoding, seed } = study;
  if (!base) {
    return null;
  }
  const prefixes = probingPrefixes(texts, triggers, surface, seed);
  const found = {} as Record<(typeof PREFIXES)[number], Awaited<ReturnType<typeof probe>>>;
  for (const kind of PREFIXES) {
    found[kind] = await probe(base, prefixes[kind], triggers, window, decoding);
  }
  return found;
}

/** Every point that is to be measured: the layers named, or those that separate best behind the embedding. */
export function pointsOf(
  { layers }: Layers,
  {
    named,
    modes,
    alphas,
  }: { named: readonly number[] | null; modes: readonly SteeringMode[]; alphas: readonly number[] },
): Point[] {
  const hooks = named
    ? named.map((layer) => `resid_post.${layer}`)
    : layers
        .slice(1)
        .sort((a, b) => b.auc.difference_in_means - a.auc.difference_in_means)
        .slice(0, BEST)
        .map(({ hook }) => hook);
  const unknown = hooks.find((hook) => !layers.some((layer) => layer.hook === hook));
  if (unknown) {
    throw new SextantError('hook_unknown', `/layers: the model has no ${unknown}`);
  }
  return hooks.flatMap((hook) => modes.flatMap((mode) => alphas.map((alpha) => ({ hook, mode, alpha }))));
}

export const steeredOn = (
  study: ReflectionStudy,
  found: Layers,
  problems: readonly Problem[],
): Promise<SteeredAnswers> => {
  const { model, decoding, measuring, centred, during } = study;
  return SteeredAnswers.of({ model, problems, decoding, measuring, vectors: found.vectors, centred, during });
};

/** Every test problem as often as it is answered, copies side by side. */
export const sampledTest = ({ problems, samples }: ReflectionStudy): Problem[] =>
  problems.test.flatMap((problem) => Array.from({ length: samples }, () => problem));

/** The point of the highest accuracy; of equal ones the shortest answers. */
export const chosenPoint = <P extends PointFigures>(points: readonly P[]): P =>
  [...points].sort((a, b) => b.pass - a.pass || a.length - b.length)[0]!;

/** @throws SextantError `data_invalid` where no plain answer could be read */
export function requireParsed({ unparsed, truncated }: PointFigures, problems: number): void {
  if (unparsed === 1) {
    throw new SextantError(
      'data_invalid',
      `/answer_marker: none of ${problems} answers could be read; ${Math.round(100 * truncated)} % of them were cut at max_tokens`,
    );
  }
}

/** The chosen point, the best of positive strength and budget forcing on problems that nothing was chosen on. */
export async function reportPoint(
  study: ReflectionStudy,
  found: Layers,
  { chosen, enhancing }: { chosen: Point; enhancing: Point | null },
  forcing: { end: number; rounds: number } | null,
) {
  const { decoding, measuring, seed, triggers, model, samples } = study;
  const problems = sampledTest(study);
  const test = await steeredOn(study, found, problems);
  const plain = test.plain.measured;
  const over = (measured: Measured) => gainOver(plain, measured, { seed, samples });
  const reported = async ({ hook, mode, alpha }: Point) => {
    const edits = test.edits({ hook, mode, alpha });
    const measured = await test.measured(edits);
    return { steered: { hook, mode, alpha, ...figuresOf(measured, await test.drift(edits)) }, gain: over(measured) };
  };
  const first = await reported(chosen);
  const same = enhancing?.hook === chosen.hook && enhancing.mode === chosen.mode && enhancing.alpha === chosen.alpha;
  const second = enhancing && (same ? first : await reported(enhancing));
  const trigger = [...triggers][0]!;
  const prompts = problems.map(({ ids }) => ids);
  const forced =
    forcing &&
    measureAnswers(await forcedAnswers(model, prompts, decoding, { ...forcing, trigger }), problems, measuring);
  return {
    plain: figuresOf(plain, 0),
    ...first,
    enhancing: second && { ...second.steered, gain: second.gain },
    forcing: forced && { ...figuresOf(forced, 0), gain: over(forced) },
  };
}
