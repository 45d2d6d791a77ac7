/** Ids as they look, for the examples of the contract. */
export const EXAMPLE = {
  model: { id: `mdl_${'m'.repeat(52)}` },
  sae: `sae_${'s'.repeat(52)}`,
  predictor: `prd_${'p'.repeat(52)}`,
  artefact: `art_${'a'.repeat(26)}`,
} as const;
