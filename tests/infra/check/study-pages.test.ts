/** The pages of studies say what the results that are committed beside them say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { page as blockSparse } from '../../studies/block-sparse.ts';
import { page as compression } from '../../studies/compression.ts';
import { page as fairness } from '../../studies/fairness.ts';
import { page as sae } from '../../studies/sae.ts';

test.each(Object.entries({ 'block-sparse': blockSparse, compression, fairness, sae }))(
  'results/%s.md is what its study makes of the results',
  (name, page) => {
    expect(page()).toBe(readFileSync(join(import.meta.dirname, '../../studies/results', `${name}.md`), 'utf8'));
  },
);
