/** Group moments of a correction's data: as they were sent, or of the rows that were. */
import { cholesky, SingularMatrixError } from '../../math/cholesky.ts';
import { fromRows } from '../../math/matrix.ts';
import { grouping } from '../audit/groups.ts';
import { dataError } from '../data-error.ts';
import { type GroupMoments, momentsByGroup } from '../moments.ts';
import type { GroupData } from './document.ts';

/** Rounding that a covariance may carry, relative to its diagonal. */
const ROUNDING = 1e-6;

/** Refuses a matrix that is no covariance: not symmetric, or an entry beyond what its variances allow. */
function requireCovariance(rows: readonly (readonly number[])[], pointer: string): void {
  const negative = rows.findIndex((row, j) => row[j]! < 0);
  if (negative >= 0) {
    throw dataError('value_out_of_range', `${pointer}/${negative}/${negative}`, 'a variance is not below 0');
  }
  rows.forEach((row, j) => {
    row.forEach((value, k) => {
      const bound = Math.sqrt(row[j]! * rows[k]![k]!);
      const symmetric = Math.abs(value - rows[k]![j]!) <= ROUNDING * bound;
      if (!(symmetric && Math.abs(value) <= bound * (1 + ROUNDING))) {
        throw dataError(
          'value_out_of_range',
          `${pointer}/${j}/${k}`,
          `${value} cannot be the covariance of ${j} and ${k}: it must be symmetric and at most the root of both variances`,
        );
      }
    });
  });
}

/** Refuses a symmetric matrix with a direction of negative variance: no data has it. */
function requireNoNegativeVariance(rows: readonly (readonly number[])[], pointer: string): void {
  const matrix = fromRows(rows);
  const size = rows.length;
  const largest = rows.reduce((most, row, j) => Math.max(most, row[j]!), 0);
  if (largest === 0) {
    return;
  }
  for (let j = 0; j < size; j++) {
    matrix.data[j * size + j]! += ROUNDING * largest;
  }
  try {
    cholesky(matrix);
  } catch (error) {
    if (!(error instanceof SingularMatrixError)) {
      throw error;
    }
    throw dataError(
      'value_out_of_range',
      pointer,
      'the matrix is no covariance: it gives a weighted sum of the columns a negative variance',
    );
  }
}

/** Where a request has its groups. */
export const groupsPointer = (data: GroupData): string => ('moments' in data ? '/data/moments' : '/data/groups');

/** Least rows of a group that its moments are taken of: with fewer, covariances are noise. */
const SMALLEST_GROUP = 4;

/** Moments of every group, of width `width`. Raises `data_invalid`, with pointers into a document that holds `data`. */
export function momentsOf(data: GroupData, width: number): GroupMoments[] {
  if ('moments' in data) {
    return data.moments.map(({ count, mean, covariance }, g) => {
      const pointer = `/data/moments/${g}`;
      if (mean.length !== width || covariance.length !== width || covariance.some((row) => row.length !== width)) {
        throw dataError('length_mismatch', pointer, `the moments of group ${g} must be of width ${width}`);
      }
      requireCovariance(covariance, `${pointer}/covariance`);
      requireNoNegativeVariance(covariance, `${pointer}/covariance`);
      return { count, mean: Float64Array.from(mean), covariance: fromRows(covariance) };
    });
  }
  const { rows, groups } = data;
  if (rows.length !== groups.length) {
    throw dataError('length_mismatch', '/data/groups', `${groups.length} group labels for ${rows.length} rows`);
  }
  const bad = rows.findIndex((row) => row.length !== width);
  if (bad >= 0) {
    throw dataError('length_mismatch', `/data/rows/${bad}`, `row ${bad} must have ${width} values`);
  }
  const { groupIds, levels } = grouping('groups', groups, '/data/groups');
  if (levels.length < 2) {
    throw dataError('group_count', '/data/groups', 'there is one group only; a correction is between groups');
  }
  levels.forEach((level, g) => {
    const count = groupIds.reduce((sum, code) => sum + Number(code === g), 0);
    if (count < SMALLEST_GROUP) {
      throw dataError(
        'group_too_small',
        '/data/groups',
        `the group "${level.slice(0, 60)}" has ${count} rows; its moments need at least ${SMALLEST_GROUP}`,
      );
    }
  });
  return momentsByGroup(fromRows(rows).data, width, groupIds, levels.length);
}
