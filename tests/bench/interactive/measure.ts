/** What a measure of `bench -- interactive` is given and says, and what several of them use. */
import type { Summary } from '../pairs.ts';

export type Line = { what: string; figure: Summary; unit: string; against: string; target: string };
/** Folders of the packages of others. */
type Others = { torch?: string | undefined; llama?: string | undefined };
export type Measure = (add: (line: Line) => void, rounds: number, others: Others) => Promise<void>;

/** Tokens of a text. */
export const TOKENS = 32;
export const THREADS = 2;
/** Texts side by side. */
export const ROWS = 8;
