/** Prompts from a file of JSON lines, or of one text a line. */
import { readFileSync } from 'node:fs';

export const promptFile = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => (line.trimStart().startsWith('{') ? (JSON.parse(line) as unknown) : line));
