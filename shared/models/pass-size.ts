/** How many positions go through a model at once, where one sequence alone does not take more: what bounds the memory. */

/** Padding included. */
export const PASS_POSITIONS = 4096;

/** Logits of one pass, in values. */
const PASS_LOGITS = 2 ** 26;

/** Positions of a pass that keeps the logits of every one. */
export const logitPositions = (vocabulary: number): number =>
  Math.max(1, Math.min(PASS_POSITIONS, Math.floor(PASS_LOGITS / vocabulary)));
