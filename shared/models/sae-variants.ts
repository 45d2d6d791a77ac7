/**
 * Variants of sparse autoencoders, one entry each: everything that says what a variant takes, keeps and is called. The
 * contract, the encoder, training, files and the verify command ask it. What it computes is the proximal operator of its
 * regulariser (`gpu-worker/sae/codes/variants.ts`; Zhu, Khalili & Zhu, "AbsTopK", arXiv:2510.00404, section 3).
 */
export type SaeVariantEntry = {
  /** R in prox_R: |z|_1, |z|_0, or the indicator of at most k codes. */
  regulariser: 'l1' | 'l0' | 'at_most_k';
  /** Codes may be negative. */
  signed: boolean;
  /** Where at most k codes are kept: of every token, or on average over the tokens of a batch. */
  over: 'token' | 'batch';
  /**
   * Architecture in SAELens of the code as it is used: batch variants by their threshold, which for non-negative codes is a
   * JumpReLU. SAELens knows no signed codes and refuses their names until a class is registered for them.
   */
  saelens: string;
  /** Further names that configurations of SAELens, sparsify and dictionary_learning use. */
  aliases: readonly string[];
};

const ENTRIES = {
  relu: { regulariser: 'l1', signed: false, over: 'token', saelens: 'standard', aliases: ['standard'] },
  jumprelu: { regulariser: 'l0', signed: false, over: 'token', saelens: 'jumprelu', aliases: [] },
  topk: { regulariser: 'at_most_k', signed: false, over: 'token', saelens: 'topk', aliases: ['topk-sae'] },
  abstopk: { regulariser: 'at_most_k', signed: true, over: 'token', saelens: 'abstopk', aliases: [] },
  batch_topk: {
    regulariser: 'at_most_k',
    signed: false,
    over: 'batch',
    saelens: 'jumprelu',
    aliases: ['batchtopk', 'matryoshka_batchtopk'],
  },
  batch_abstopk: { regulariser: 'at_most_k', signed: true, over: 'batch', saelens: 'two_sided_jumprelu', aliases: [] },
  two_sided_jumprelu: {
    regulariser: 'l0',
    signed: true,
    over: 'token',
    saelens: 'two_sided_jumprelu',
    aliases: [],
  },
} as const satisfies Record<string, SaeVariantEntry>;

export type SaeVariant = keyof typeof ENTRIES;

/** Every variant by name. */
export const SAE_VARIANTS: Readonly<Record<SaeVariant, SaeVariantEntry>> = ENTRIES;
