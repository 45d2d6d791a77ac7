/** Where a thing that params name stands in them. */
import { jsonPointer } from '../../../shared/contracts/problem.ts';

/** The JSON pointer of the first place in `params` that holds `value`, an id say; '' where none does. */
export function pointerTo(params: unknown, value: string): string {
  const path = pathTo(params, value);
  return path ? jsonPointer(path) : '';
}

function pathTo(within: unknown, value: string): (string | number)[] | null {
  if (within === value) {
    return [];
  }
  if (typeof within !== 'object' || within === null) {
    return null;
  }
  for (const [name, inner] of Object.entries(within)) {
    const path = pathTo(inner, value);
    if (path) {
      return [name, ...path];
    }
  }
  return null;
}
