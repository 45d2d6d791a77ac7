/** The one way fairness code refuses data: a `data_invalid` error with a finer code and a pointer to the value. */
import { relocated, SextantError } from '../contracts/problem.ts';

/** What can be wrong with the data of a fairness request. */
type DataFault =
  | 'column_missing'
  | 'column_unexpected'
  | 'csv_malformed'
  | 'arrow_malformed'
  | 'length_mismatch'
  | 'value_not_finite'
  | 'value_out_of_range'
  | 'label_not_binary'
  | 'group_count'
  | 'group_too_small'
  | 'group_unknown'
  | 'matrix_singular'
  | 'weights_misfit'
  | 'scm_cycle'
  | 'scm_invalid'
  | 'response_invalid'
  | 'budget_invalid'
  | 'prediction_constant'
  | 'table_too_large';

/** An error about the value at `pointer` (RFC 6901); `detail` says what was wrong and what would be right. */
export const dataError = (fault: DataFault, pointer: string, detail: string): SextantError =>
  new SextantError('data_invalid', detail, { errors: [{ pointer, code: fault, detail }] });

/** Runs `work`; pointers of its errors come out as `place` puts them, to where the caller's document holds the value. */
export function placed<T>(place: (pointer: string) => string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SextantError && error.errors)) {
      throw error;
    }
    throw relocated(error, place);
  }
}

/** Refuses NaN and infinities, naming the first offending position. */
export function requireFinite(values: ArrayLike<number>, pointer: string): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw dataError('value_not_finite', `${pointer}/${i}`, `value ${i} is ${values[i]}; every value must be finite`);
    }
  }
}

/** Values beyond this size have squares, or sums of squares, that double precision cannot hold. */
const LARGEST = 1e150;
/** Refuses values of which no variance or squared error could be told. */
export function requireSquarable(values: ArrayLike<number>, pointer: string): void {
  requireFinite(values, pointer);
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(values[i]!) > LARGEST) {
      throw dataError(
        'value_out_of_range',
        `${pointer}/${i}`,
        `value ${i} is ${values[i]}; at most ${LARGEST} in size`,
      );
    }
  }
}
