/** The field's names for what the contracts of `model.compress` and `compression.study` name in another way. */
import type study from '../../shared/jobs/compression.study.ts';
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import type compress from '../../shared/jobs/model.compress.ts';
import type { CopyResult } from './autoencoders/study.ts';
import type { CompressionPlan } from './plan.ts';
import type { BlockReport } from './report.ts';

/** What the params ask to be done to a model's linear layers. */
export function planOf(params: ParamsOf<typeof compress>): CompressionPlan {
  const { method, share, shares, bits, group, symmetric, linears } = params;
  const pattern = params.pattern ?? (method === 'n_of_m' ? { n: 2, m: 4 } : null);
  return { method, share, shares, pattern, bits, group, symmetric, linears };
}

/** A compressed model as a whole; means are over its weights. */
export function statedTotals(blocks: readonly BlockReport[], denseBytes: number, bytes: number) {
  const matrices = blocks.flatMap((block) => block.matrices);
  const weights = matrices.reduce((sum, matrix) => sum + matrix.dense_bytes / 4, 0);
  const mean = (of: (matrix: (typeof matrices)[number]) => number) =>
    weights === 0 ? 0 : matrices.reduce((sum, matrix) => sum + (of(matrix) * matrix.dense_bytes) / 4, 0) / weights;
  const worst = [...matrices].sort((a, b) => b.relative_error - a.relative_error)[0] ?? null;
  return {
    matrices: matrices.length,
    sparsity: mean(({ sparsity }) => sparsity),
    bits: weights === 0 ? 32 : mean((matrix) => matrix.bits),
    bytes,
    dense_bytes: denseBytes,
    worst,
  };
}

/** What a study found on one copy. */
export const statedCopy = (
  label: string,
  { variants, drift, retraining, coefficient, bound }: CopyResult,
): ResultOf<typeof study>['copies'][number] => ({
  label,
  variants,
  died: drift.died,
  survival: drift.survival,
  drifted: drift.drifted,
  support_overlap: drift.overlap,
  retraining,
  coefficient,
  bound,
});
