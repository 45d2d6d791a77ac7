/** The targets of compressed-tensors: names of modules, names of their classes, or `re:` patterns from a name's start. */
import { SextantError } from '../../../../shared/contracts/problem.ts';

/** A repeated group that repeats inside: such patterns can take for ever. */
const NESTED_REPEAT = /[+*}][^()]*\)\s*[+*{]/;
const MAX_PATTERN = 400;

/** How closely a target names a module: 2 by name or pattern, 1 by class, 0 not at all. */
export function matchOf(target: unknown, name: string, className: string): 0 | 1 | 2 {
  if (typeof target !== 'string') {
    throw new SextantError('model_unsupported', 'a target of quantization is not a text');
  }
  if (target.startsWith('re:')) {
    return patternOf(target.slice(3)).test(name) ? 2 : 0;
  }
  if (target === name) {
    return 2;
  }
  return target === className ? 1 : 0;
}

function patternOf(source: string): RegExp {
  if (source.length > MAX_PATTERN || NESTED_REPEAT.test(source)) {
    throw new SextantError('model_unsupported', `the target pattern '${source.slice(0, 80)}' is not supported`);
  }
  try {
    return new RegExp(`^(?:${source})`);
  } catch {
    throw new SextantError('model_unsupported', `the target pattern '${source.slice(0, 80)}' is not a pattern`);
  }
}
