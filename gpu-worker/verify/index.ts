/**
 * `npm run --silent verify -- <what> DIR [options]`: compares this build with reference outputs and prints one JSON
 * object as its last line. Exit status 0 when the comparison ran, 1 with one sentence when it could not, 2 on bad usage.
 */

import { SextantError } from '../../shared/contracts/problem.ts';
import { EngineError } from '../runtime/index.ts';
import { runComparison } from './report.ts';

process.on('uncaughtException', (error) => {
  const expected = error instanceof EngineError || error instanceof SextantError;
  console.error(expected ? `${error.code}: ${error.message}` : error);
  process.exit(1);
});

type Compare = Parameters<typeof runComparison>[2];

/** A comparison that ends in one report. */
const compared = (what: string, load: () => Promise<Compare>) => async (args: string[]) =>
  runComparison(what, args, await load());

/** Each loads its field when it is asked for. */
const COMMANDS: Readonly<Record<string, (args: string[]) => void | Promise<void>>> = {
  describe: async (args) => (await import('./describe.ts')).describeFolder(args),
  lm: async (args) => (await import('./lm.ts')).verifyLm(args),
  sae: async (args) => (await import('./sae.ts')).verifySae(args),
  'sae-folder': async (args) => (await import('./sae-folder.ts')).verifySaeFolder(args),
  'block-sparse': compared('block-sparse', async () => (await import('./block-sparse.ts')).compareBlockSparse),
  compression: compared('compression', async () => (await import('./compression.ts')).compareCompression),
  circuits: compared('circuits', async () => (await import('./circuits.ts')).compareCircuits),
  directions: compared('directions', async () => (await import('./directions.ts')).compareDirections),
  layouts: compared('layouts', async () => (await import('./layouts.ts')).compareLayouts),
  ecg: compared('ecg', async () => (await import('./ecg.ts')).compareEcg),
};

const [what = '', ...rest] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, what) ? COMMANDS[what] : undefined;
if (!command) {
  console.error(
    `usage: verify -- block-sparse|circuits|compression|directions|ecg|layouts|sae|sae-folder|lm|describe DIR [--expected FILE] [--device cpu|webgpu] (got '${what}' ${rest.length})`,
  );
  process.exit(2);
}
await command(rest);
