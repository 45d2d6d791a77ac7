/** Which candidate is the refusal direction: thresholds, then the lowest bypass; and why none is left where none is. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { ScoredCandidate } from './candidate-scores.ts';
import type { Source } from './candidates.ts';

export type Thresholds = {
  /** Candidates of layers from floor(depth * layers) on are dropped. */
  depth: number;
  /** Candidates of a larger divergence are dropped. */
  kl: number;
  /** Candidates of a smaller induce score are dropped. */
  induce: number;
};

const REASONS = ['nan', 'late_layer', 'kl', 'induce'] as const;
type Reason = (typeof REASONS)[number];

export type Selection<C extends ScoredCandidate = ScoredCandidate> = {
  selected: C | null;
  /** Over all candidates that were measured, whatever the thresholds say. */
  lowestBypass: C | null;
  /** Over the same. */
  highestInduce: C | null;
  /** One candidate may have several reasons; one without numbers has that alone. */
  dropped: Record<Reason, Source[]>;
};

const fails = (
  { layer, kl, induce }: ScoredCandidate,
  thresholds: Thresholds,
  layers: number,
): Record<Exclude<Reason, 'nan'>, boolean> => ({
  late_layer: layer >= Math.floor(thresholds.depth * layers),
  kl: kl > thresholds.kl,
  induce: induce < thresholds.induce,
});

export function selectCandidate<C extends ScoredCandidate>(
  scored: readonly C[],
  thresholds: Thresholds,
  layers: number,
): Selection<C> {
  const dropped: Record<Reason, Source[]> = { nan: [], late_layer: [], kl: [], induce: [] };
  const kept: C[] = [];
  for (const candidate of scored) {
    const { position, layer, empty } = candidate;
    if (empty) {
      dropped.nan.push({ position, layer });
      continue;
    }
    const failed = fails(candidate, thresholds, layers);
    const reasons = (Object.keys(failed) as Exclude<Reason, 'nan'>[]).filter((reason) => failed[reason]);
    for (const reason of reasons) {
      dropped[reason].push({ position, layer });
    }
    if (reasons.length === 0) {
      kept.push(candidate);
    }
  }
  const measured = scored.filter(({ empty }) => !empty);
  const best = (list: readonly C[], of: (candidate: C) => number) =>
    list.reduce<C | null>((found, candidate) => (found && of(found) <= of(candidate) ? found : candidate), null);
  return {
    selected: best(kept, ({ bypass }) => bypass),
    lowestBypass: best(measured, ({ bypass }) => bypass),
    highestInduce: best(measured, ({ induce }) => -induce),
    dropped,
  };
}

/** The selected candidate. @throws SextantError `data_invalid` saying how many each threshold dropped and what would help */
export function requireSelected<C extends ScoredCandidate>(
  selection: Selection<C>,
  scored: readonly C[],
  thresholds: Thresholds,
  layers: number,
): C {
  if (selection.selected) {
    return selection.selected;
  }
  const { nan, late_layer, kl, induce } = selection.dropped;
  const counts = `of ${scored.length} candidates ${nan.length} have no difference, ${late_layer.length} lie too late, ${kl.length} exceed the divergence ${thresholds.kl} and ${induce.length} induce less than ${thresholds.induce}`;
  throw new SextantError(
    'data_invalid',
    `/thresholds: nothing found: ${counts}; ${remedy(scored, thresholds, layers) ?? 'no single threshold admits one: the two sets do not differ in refusal'}`,
  );
}

/** The one change that would admit a candidate: of those that fail by one threshold alone, the lowest bypass. */
function remedy(scored: readonly ScoredCandidate[], thresholds: Thresholds, layers: number): string | null {
  const near = scored
    .filter(({ empty }) => !empty)
    .flatMap((candidate) => {
      const failed = fails(candidate, thresholds, layers);
      const reasons = (Object.keys(failed) as Exclude<Reason, 'nan'>[]).filter((reason) => failed[reason]);
      return reasons.length === 1 ? [{ candidate, reason: reasons[0]! }] : [];
    })
    .sort((a, b) => a.candidate.bypass - b.candidate.bypass)[0];
  if (!near) {
    return null;
  }
  const { candidate, reason } = near;
  const change = {
    late_layer: `depth ${((candidate.layer + 1) / layers).toFixed(3)}`,
    kl: `kl ${candidate.kl.toPrecision(4)}`,
    induce: `induce ${candidate.induce.toPrecision(4)}`,
  }[reason];
  return `${change} alone would admit position ${candidate.position}, layer ${candidate.layer}`;
}
