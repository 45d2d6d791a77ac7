/**
 * The one place that knows where the reference data and golden outputs lie: `SEXTANT_DATA` and `SEXTANT_GOLDEN`, by
 * default the `data` and `golden` folders of `../shared`, seen from the repository root.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const repositoryRoot: string = resolve(import.meta.dirname, '../..');
const fromRoot = (variable: string, fallback: string): string =>
  resolve(repositoryRoot, process.env[variable] ?? join('..', 'shared', fallback));

export const dataFolder: string = fromRoot('SEXTANT_DATA', 'data');
export const goldenFolder: string = fromRoot('SEXTANT_GOLDEN', 'golden');

/** True where the reference data is present; tests that need it use `describe.skipIf(!hasData)`. */
export const hasData: boolean = existsSync(dataFolder);
export const hasGolden: boolean = existsSync(goldenFolder);
const casesFolder: string = fromRoot('SEXTANT_CASES', 'cases');
export const hasCases: boolean = existsSync(casesFolder);
/** Small inputs that failed when tried from outside. */
export const cases = (...path: string[]): string => join(casesFolder, ...path);
export const data = (...path: string[]): string => join(dataFolder, ...path);
export const golden = (...path: string[]): string => join(goldenFolder, ...path);
