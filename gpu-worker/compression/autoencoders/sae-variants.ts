/** The autoencoders of a study, measured on one compressed model: as it was, trained again, pruned. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import type { LanguageModel } from '../../lm/index.ts';
import {
  type Encoder,
  encodeActivations,
  type HeldOut,
  measure,
  Site,
  type SiteScores,
  type SparseCodes,
  type TrainedSae,
} from '../../sae/index.ts';
import { bootstrapOverUnits } from '../../study/index.ts';
import { supportOverlap } from './latent-drift.ts';

export type VariantScores = {
  variant: string;
  share: number | null;
  fvu: number | null;
  l0: number;
  alive: number;
  /** Loss recovered against the compressed model, with its interval over sequences, and against the dense one. */
  loss_recovered: number | null;
  low: number | null;
  high: number | null;
  dense_loss_recovered: number | null;
  kl: number;
  dense_kl: number | null;
  loss_without: number;
  loss_with: number;
  /** Mean Jaccard overlap of its active latents with those of the autoencoder as it was. */
  overlap: number | null;
};

export type VariantOf = { variant: string; share: number | null; sae: TrainedSae; retrained?: boolean };

/** Scores every variant on one model. @throws SextantError `data_invalid` where losses without an SAE differ */
export async function scoreVariants(
  variants: readonly VariantOf[],
  {
    model,
    dense,
    hook,
    held,
    sequences,
    mean,
    encoder,
    seed,
  }: {
    model: LanguageModel;
    /** Null where the model is the dense one itself. */
    dense: LanguageModel | null;
    hook: string;
    held: HeldOut;
    sequences: number;
    mean: ArrayLike<number>;
    encoder: Encoder;
    seed: number;
  },
): Promise<VariantScores[]> {
  const site = new Site(model, hook, held.ids.slice(0, sequences), { mean, encoder, reference: dense });
  const found: VariantScores[] = [];
  let transferred: SparseCodes | null = null;
  for (const { variant, share, sae, retrained = false } of variants) {
    const { measures } = await measure(sae, held.x, encoder);
    const codes = await encodeActivations(sae, held.x, encoder);
    transferred ??= codes;
    const scores = await site.scores(sae);
    found.push({
      variant,
      share,
      fvu: measures.fvu,
      l0: measures.l0,
      alive: 1 - measures.dead_share,
      loss_recovered: scores.recovered,
      ...intervalOf(scores, seed),
      dense_loss_recovered: scores.reference?.recovered ?? null,
      kl: scores.kl.spliced,
      dense_kl: scores.reference?.kl.spliced ?? null,
      loss_without: scores.original,
      loss_with: scores.cross_entropy.spliced,
      // Latents of another training have no names in common.
      overlap: retrained ? null : supportOverlap(transferred, codes),
    });
  }
  requireOneModel(found);
  return found;
}

/** All variants must have been scored on one model: its loss without an SAE says so. */
export function requireOneModel(scores: readonly VariantScores[]): void {
  const [first, ...rest] = scores;
  const other = rest.find(({ loss_without }) => loss_without !== first!.loss_without);
  if (other) {
    throw new SextantError(
      'data_invalid',
      `without an SAE the loss is ${first!.loss_without} for '${first!.variant}' and ${other.loss_without} for ` +
        `'${other.variant}': they were not scored on one model`,
    );
  }
}

/** How far apart the L0 of two variants may lie, as a share of the first. */
const L0_TOLERANCE = 0.1;

/** @throws SextantError `data_invalid` where the retrained SAE is sparser or denser than the transferred one */
export function requireMatchedL0(transferred: number, retrained: number, where: string): void {
  if (Math.abs(retrained - transferred) <= L0_TOLERANCE * transferred) {
    return;
  }
  throw new SextantError(
    'data_invalid',
    `${where}: L0 ${retrained.toFixed(2)} of the retrained SAE is more than 10 % off the transferred one's ` +
      `${transferred.toFixed(2)}; pass allow_unmatched to compare them all the same`,
  );
}

function intervalOf({ by_sequence: units }: SiteScores, seed: number): { low: number | null; high: number | null } {
  const sums = Float64Array.from(units.flatMap(({ original, spliced, zero }) => [original, spliced, zero]));
  const intervals = bootstrapOverUnits({
    sums,
    parts: 3,
    size: 1,
    measures: ([original, spliced, zero], out) => {
      out[0] = (spliced! - zero!) / (original! - zero!);
    },
    random: stream(seed, 'study/loss-recovered'),
  });
  const interval = intervals?.[0];
  return interval && Number.isFinite(interval.low) && Number.isFinite(interval.high)
    ? { low: interval.low, high: interval.high }
    : { low: null, high: null };
}
