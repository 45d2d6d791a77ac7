/**
 * `npm run --silent verify -- <what> DIR [options]`: compares this build with reference outputs and prints one JSON
 * object as its last line. Exit status 0 when the comparison ran, 1 with one sentence when it could not, 2 on bad usage.
 */

import { SextantError } from '../../shared/contracts/problem.ts';
import { EngineError } from '../runtime/index.ts';

process.on('uncaughtException', (error) => {
  const expected = error instanceof EngineError || error instanceof SextantError;
  console.error(expected ? `${error.code}: ${error.message}` : error);
  process.exit(1);
});

const [what, ...rest] = process.argv.slice(2);
switch (what) {
  case 'describe':
    (await import('./describe.ts')).describeFolder(rest);
    break;
  case 'lm':
    await (await import('./lm.ts')).verifyLm(rest);
    break;
  case 'sae':
    await (await import('./sae.ts')).verifySae(rest);
    break;
  case 'sae-folder':
    await (await import('./sae-folder.ts')).verifySaeFolder(rest);
    break;
  case 'block-sparse': {
    const { compareBlockSparse } = await import('./block-sparse.ts');
    await (await import('./report.ts')).runComparison('block-sparse', rest, compareBlockSparse);
    break;
  }
  case 'compression': {
    const { compareCompression } = await import('./compression.ts');
    await (await import('./report.ts')).runComparison('compression', rest, compareCompression);
    break;
  }
  case 'circuits': {
    const { compareCircuits } = await import('./circuits.ts');
    await (await import('./report.ts')).runComparison('circuits', rest, compareCircuits);
    break;
  }
  case 'directions': {
    const { compareDirections } = await import('./directions.ts');
    await (await import('./report.ts')).runComparison('directions', rest, compareDirections);
    break;
  }
  case 'layouts': {
    const { compareLayouts } = await import('./layouts.ts');
    await (await import('./report.ts')).runComparison('layouts', rest, compareLayouts);
    break;
  }
  case 'ecg': {
    const { compareEcg } = await import('./ecg.ts');
    await (await import('./report.ts')).runComparison('ecg', rest, compareEcg);
    break;
  }
  default:
    console.error(
      `usage: verify -- block-sparse|circuits|compression|directions|ecg|layouts|sae|sae-folder|lm|describe DIR [--expected FILE] [--device cpu|webgpu] (got '${what ?? ''}' ${rest.length})`,
    );
    process.exit(2);
}
