/** Errors of the readers of recordings. */
import { SextantError } from '../contracts/problem.ts';

/** A `data_invalid` error about a recording; `code` says which rule it breaks. */
export const recordError = (code: string, detail: string): SextantError =>
  new SextantError('data_invalid', detail, { errors: [{ pointer: '', code, detail }] });
