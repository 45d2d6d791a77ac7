/** The list of all operators: documentation, tests and the emitter's coverage read it. */

import type { AnyOperator } from '../tensor.ts';
import { comparison } from './comparison.ts';
import { convolution } from './convolution.ts';
import { custom } from './custom.ts';
import { elementwise } from './elementwise.ts';
import { indexing } from './indexing.ts';
import { layout } from './layout.ts';
import { leaves } from './leaves.ts';
import { products } from './matmul.ts';
import { normalisation } from './normalise.ts';
import { parts } from './parts.ts';
import { reductions } from './reductions.ts';
import { rowBlocks } from './row-blocks.ts';
import { sizes } from './sizes.ts';

export const operators: readonly AnyOperator[] = [
  ...leaves,
  ...elementwise,
  ...comparison,
  ...reductions,
  ...products,
  ...layout,
  ...parts,
  ...sizes,
  ...indexing,
  ...normalisation,
  ...convolution,
  ...custom,
  ...rowBlocks,
];
