/** What follows from the entry of a variant of sparse autoencoders. */
import { SAE_VARIANTS, type SaeVariant, type SaeVariantEntry } from './sae-variants.ts';

export const SAE_VARIANT_NAMES = Object.keys(SAE_VARIANTS) as [SaeVariant, ...SaeVariant[]];

export const isSaeVariant = (name: unknown): name is SaeVariant =>
  typeof name === 'string' && Object.hasOwn(SAE_VARIANTS, name);

export type SaeVariantFacts = SaeVariantEntry & {
  name: SaeVariant;
  /** What makes its codes sparse: k per token, or the coefficient of a penalty. */
  takes: 'k' | 'sparsity';
  /** What decides which codes are kept: each by itself, the token's k largest, or the batch's. */
  selection: 'threshold' | 'token' | 'batch';
  /** Thresholds are parameters. */
  learnsThreshold: boolean;
  /** Inference needs stored thresholds, learned ones or the running one of batches. */
  needsThreshold: boolean;
};

export function saeVariant(name: SaeVariant): SaeVariantFacts {
  const entry = SAE_VARIANTS[name];
  const takes = entry.regulariser === 'at_most_k' ? 'k' : 'sparsity';
  const selection = takes === 'k' ? entry.over : 'threshold';
  const learnsThreshold = entry.regulariser === 'l0';
  return {
    ...entry,
    name,
    takes,
    selection,
    learnsThreshold,
    needsThreshold: learnsThreshold || selection === 'batch',
  };
}

/** The variant that a configuration of this or another library names. */
export const saeVariantNamed = (name: string): SaeVariant | undefined =>
  SAE_VARIANT_NAMES.find((variant) => variant === name || SAE_VARIANTS[variant].aliases.includes(name));
