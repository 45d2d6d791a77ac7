/** What a lookahead prediction says of a person besides the score, each a mean over the other attribute values. */
export type LookaheadGapColumns = {
  /** |Y - Yc| now. */
  present: Float64Array;
  /** |Y' - Yc'| after the reaction. */
  future: Float64Array;
  /** |Y^ - Y^c|: the score of the same U in the other world. Counterfactual fairness asks for 0, lookahead fairness pays it. */
  score?: Float64Array;
};
