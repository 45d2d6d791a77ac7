/** Directions at every layer of a model, of its base and of a second set of problems, side by side. */
import type { LanguageModel } from '../../lm/index.ts';
import { areaUnderCurve, cosine, meanRow, projectionsOf } from '../vectors.ts';
import { differenceOfMeans, type States } from './directions.ts';
import { matchedPlaces, type Places, type Text } from './positions.ts';
import { directionBy, type Estimator, noDifference, type Separability, separability } from './separability.ts';
import { layerHooks, placeStates } from './states.ts';

type TextSets = { train: readonly Text[]; held_out: readonly Text[]; transfer: readonly Text[] | null };
export type Layers = {
  layers: (Separability & {
    base_auc: number | null;
    base_cosine: number | null;
    transfer_cosine: number | null;
    transfer_auc: number | null;
  })[];
  vectors: Map<string, { vector: Float64Array; other: Float64Array; residualNorm: number }>;
  places: { train: Places; held_out: Places };
  /** Projections of held-out states on the unit vector, by hook. */
  histograms: Map<string, { reflecting: Float64Array; other: Float64Array }>;
};

type Options = {
  triggers: ReadonlySet<number>;
  lookAhead: number;
  estimator: Estimator;
  shuffles: number;
  seed: number;
  /** Rows of the head. */
  unembedding: readonly ArrayLike<number>[];
};

const auc = ({ reflecting, other }: States, direction: ArrayLike<number>): number =>
  areaUnderCurve(projectionsOf(reflecting, direction), projectionsOf(other, direction));

/** @param texts the model's own answers, which serve the base as well */
export async function layersOf(
  model: LanguageModel,
  base: LanguageModel | null,
  texts: TextSets,
  options: Options,
): Promise<Layers> {
  const { triggers, lookAhead, estimator } = options;
  const hooks = layerHooks(model.architecture.layers);
  const places = {
    train: matchedPlaces(texts.train, triggers, lookAhead),
    held_out: matchedPlaces(texts.held_out, triggers, lookAhead),
  };
  const read = async (of: LanguageModel) => ({
    train: await placeStates(of, texts.train, places.train, hooks),
    heldOut: await placeStates(of, texts.held_out, places.held_out, hooks),
  });
  const own = await read(model);
  const theirs = base && (await read(base));
  const second = texts.transfer && matchedPlaces(texts.transfer, triggers, lookAhead);
  const transferred = second && (await placeStates(model, texts.transfer!, second, hooks));
  const vectors: Layers['vectors'] = new Map();
  const histograms: Layers['histograms'] = new Map();
  const layers = hooks.map((hook) => {
    const [train, heldOut] = [own.train.get(hook)!, own.heldOut.get(hook)!];
    if (noDifference(train)) {
      const own = separability(hook, train, heldOut, options);
      return { ...own, base_auc: null, base_cosine: null, transfer_cosine: null, transfer_auc: null };
    }
    const vector = scaled(directionBy(estimator, train), train);
    const { width } = train;
    const rows = train.reflecting.length / width;
    const norms = Array.from({ length: rows }, (_, i) =>
      Math.hypot(...train.reflecting.subarray(i * width, (i + 1) * width)),
    );
    const residualNorm = norms.reduce((sum, value) => sum + value, 0) / rows;
    vectors.set(hook, { vector, other: meanRow(train.other, width), residualNorm });
    histograms.set(hook, {
      reflecting: projectionsOf(heldOut.reflecting, vector),
      other: projectionsOf(heldOut.other, vector),
    });
    const means = differenceOfMeans(train);
    const basic = theirs && differenceOfMeans(theirs.train.get(hook)!);
    const other = transferred?.get(hook) ?? null;
    return {
      ...separability(hook, train, heldOut, options),
      base_auc: theirs && basic && auc(theirs.heldOut.get(hook)!, basic),
      base_cosine: basic && cosine(means, basic),
      transfer_cosine: other && cosine(means, differenceOfMeans(other)),
      transfer_auc: other && auc(other, means),
    };
  });
  return { layers, vectors, places, histograms };
}

/** A direction at the length of the difference of means, so that one strength means the same for every estimator. */
function scaled(direction: Float64Array, states: States): Float64Array {
  const [wanted, own] = [Math.hypot(...differenceOfMeans(states)), Math.hypot(...direction)];
  return direction.map((value) => (value * wanted) / own);
}
