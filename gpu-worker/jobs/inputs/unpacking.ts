/** What archives of any kind are held to while they are unpacked. */
import { SextantError } from '../../../shared/contracts/problem.ts';

export type Unpacking = {
  /** Bytes of all files together. */
  limit: number;
  /** Where a file of this name goes; null leaves it out. Folders before the name are its own business. */
  place(path: string): string | null;
};

export const invalid = (detail: string) => new SextantError('data_invalid', `the archive: ${detail}`);

export const tooMuch = (limit: number) =>
  invalid(`it unpacks to more than ${limit} bytes; raise max_bytes where that is meant`);

export const linked = (path: string) => invalid(`'${path.slice(0, 200)}' is a link or a device`);

export function checkedPath(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..') || path.includes('\\') || path.includes('\0')) {
    throw invalid(`the name '${path.slice(0, 200)}' leads out of its folder`);
  }
  return path.replace(/^(\.\/)+/, '');
}
