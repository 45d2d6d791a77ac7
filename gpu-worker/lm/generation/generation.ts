/** What is asked of a generation, and what it gives. */
import type { GenerationIntervention } from './renewal.ts';
import type { SamplingOptions } from './sampling.ts';

export type GenerateOptions = SamplingOptions & {
  maxTokens?: number;
  /** Generation of a row ends where its text contains one of these; the text is cut there. Needs a tokenizer. */
  stop?: readonly string[];
  /** Tokens that end a row; by default the end-of-sequence tokens of the model and its tokenizer. */
  stopTokens?: readonly number[];
  /** Row r draws from the stream named after r, so a row's tokens do not depend on its batch. */
  seed?: number;
  /** The numbers by which the rows draw, where they are part of a longer list; by default 0, 1, 2, ... */
  rowNumbers?: readonly number[];
  interventions?: readonly GenerationIntervention[];
  /** So many of the likeliest tokens are told at each place, beside the chosen one. */
  alternatives?: number;
};

/** `logProbability` is under the model, at temperature 1; nats. */
type LikelyToken = { token: number; logProbability: number };
export type GeneratedToken = LikelyToken & {
  row: number;
  /** The likeliest first; empty unless asked for. */
  alternatives: LikelyToken[];
  /** Set on the last token of a row. */
  finish: Generation['finish'] | null;
};

export type Generation = {
  tokens: number[];
  logProbabilities: number[];
  /** Of each token, the likeliest first; empty unless asked for. */
  alternatives: LikelyToken[][];
  /** Empty where the model has no tokenizer. */
  text: string;
  finish: 'length' | 'stop_token' | 'stop_string';
};
