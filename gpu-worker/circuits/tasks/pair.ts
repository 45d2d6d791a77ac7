/** A prompt, its corrupted twin, and the tokens between which the model decides. */
export type Pair = {
  clean: readonly number[];
  /** As long as `clean`. */
  corrupted: readonly number[];
  /** One token or several. */
  answer: readonly number[];
  other: readonly number[];
  /** Pairs of one template; null where the task names none. */
  template: string | null;
  /** Positions of `clean` by name, counted from 0. */
  positions?: Readonly<Record<string, number>>;
};

/** A pair as tasks are written: texts, or ids for models that have no tokenizer. */
export type WrittenPair = {
  clean: string | readonly number[];
  corrupted: string | readonly number[];
  answer: readonly (string | number)[];
  other: readonly (string | number)[];
  template: string | null;
  /** Counted in tokens from the beginning of the text, or below 0 from its end. */
  positions: Readonly<Record<string, number>>;
};
