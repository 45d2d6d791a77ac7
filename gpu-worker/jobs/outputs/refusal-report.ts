/** What the refusal study publishes of what it found: numbers, pictures and the direction itself, never a generated text. */
import type { Manifest } from '../../../shared/contracts/manifest.ts';
import { projectionPlot } from '../../directions/plots.ts';
import type { ScoredCandidate } from '../../directions/refusal/candidate-scores.ts';
import { type Source, streamsAt } from '../../directions/refusal/candidates.ts';
import type { FindOptions, Found } from '../../directions/refusal/find.ts';
import { candidatePlots, cosinePlot } from '../../directions/refusal/plots.ts';
import { norm, projectionsOf } from '../../directions/vectors.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import type { OpenedModel } from '../inputs/model-input.ts';
import type { RefusalInput } from '../inputs/refusal-input.ts';
import { type DirectionOf, directionManifest } from './direction-vector.ts';
import { publishFolder } from './model-artefact.ts';

const placeOf = ({ position, layer }: Source): Source => ({ position, layer });

const viewOf = ({ position, layer, vector, bypass, induce, kl }: ScoredCandidate) => ({
  position,
  layer,
  norm: norm(vector),
  bypass,
  induce,
  kl,
});

export function refusalSummary({ chosen, selection, scored, random, claims }: Found, input: RefusalInput) {
  const { sets } = input.find;
  const counts = (name: 'harmful' | 'harmless') =>
    Object.fromEntries(Object.entries(sets[name]).map(([split, prompts]) => [split, prompts.length]));
  return {
    source: placeOf(chosen),
    selected: viewOf(chosen),
    lowest_bypass: viewOf(selection.lowestBypass ?? chosen),
    highest_induce: viewOf(selection.highestInduce ?? chosen),
    thresholds_select: selection.selected && placeOf(selection.selected),
    dropped: Object.fromEntries(Object.entries(selection.dropped).map(([reason, list]) => [reason, list.length])),
    candidates: scored.map((candidate) => ({ ...viewOf(candidate), empty: candidate.empty })),
    prompts: { harmful: counts('harmful'), harmless: counts('harmless') },
    separation: input.separation,
    unused_tokens: input.unused,
    text: input.text,
    random,
    claims,
  };
}

type Quality = Source & { bypass: number; induce: number; kl: number };

/** The direction at the input of its block; its strength is what adding the raw vector once takes. */
export const refusalVector = (
  context: Pick<JobContext<unknown>, 'artefact'>,
  model: Pick<OpenedModel, 'id' | 'digest'>,
  label: string,
  { position, layer, bypass, induce, kl }: Quality,
  direction: { values: ArrayLike<number>; residual_norm: number },
  { params, seed, dataDigest }: Pick<DirectionOf, 'params' | 'seed' | 'dataDigest'>,
): Promise<Manifest> => {
  const { model: _reference, ...rest } = params;
  return directionManifest(context, {
    method: 'refusal',
    params: rest,
    model,
    seed,
    dataDigest,
    hook: `resid_pre.${layer}`,
    vector: direction.values,
    residualNorm: direction.residual_norm,
    poles: { positive: 'refusal', negative: 'compliance' },
    effect: { bypass, induce, kl },
    provenance: { of: label, position, layer, norm: norm(direction.values) },
  });
};

type CopyLine = Parameters<typeof cosinePlot>[0][number];

export async function refusalPlots(
  model: LanguageModel,
  { sets }: Pick<FindOptions, 'sets'>,
  { scored, chosen }: Found,
  copies: readonly CopyLine[],
): Promise<{ name: string; svg: string }[]> {
  const along = async (prompts: FindOptions['sets']['harmful']['test']) =>
    projectionsOf(await streamsAt(model, prompts, chosen), chosen.vector);
  return [
    ...candidatePlots(scored, chosen, 'base'),
    projectionPlot({ harmful: await along(sets.harmful.test), harmless: await along(sets.harmless.test) }, 'base'),
    ...(copies.length > 0 ? [cosinePlot(copies)] : []),
  ];
}

/** The base model without its direction, from the folder that it was written to; `along` is the id of the direction's vector. */
export const publishAblated = (
  context: Parameters<typeof publishFolder>[0],
  folder: string,
  base: OpenedModel,
  {
    along,
    params,
    seed,
    dataDigest,
  }: { along: string; params: Record<string, unknown>; seed: number; dataDigest: string },
): Promise<Manifest> => {
  const { model: _reference, ...rest } = params;
  return publishFolder(context, folder, {
    method: 'refusal.study',
    params: rest,
    seed,
    model: base.id,
    data_digest: dataDigest,
    body: { parent: { digest: base.digest, revision: base.revision }, ablated_along: along },
  });
};
