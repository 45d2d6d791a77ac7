/** What is asked of a body's JSON text before anything parses it: parsers nest without bound and forget names without a word. */
import { jsonPointer, SextantError } from '../../shared/contracts/problem.ts';
import { jsonTextFault } from '../../shared/formats/json-text.ts';

const WRONG = {
  name_repeated: 'this object already has a field of that name',
  name_reserved: 'this name cannot be used; any other can',
  text_ill_formed: 'half of a character (a lone surrogate) is no text; send both halves or leave it out',
} as const;

/**
 * Raises body_malformed where brackets nest deeper than `limit`, and validation_failed for a name that parsing would lose
 * (`name_repeated`) or free-form maps cannot hold (`name_reserved`: `__proto__`), and for text that is not well-formed
 * Unicode (`text_ill_formed`).
 */
export function checkJsonText(text: string, limit: number): void {
  const fault = jsonTextFault(text, limit, ['__proto__']);
  if (!fault) {
    return;
  }
  if (fault.kind === 'too_deep') {
    throw new SextantError('body_malformed', `the body nests deeper than ${limit} levels`);
  }
  const pointer = jsonPointer(fault.path).toWellFormed();
  const detail = `${pointer.slice(0, 300)}: ${WRONG[fault.kind]}`;
  throw new SextantError('validation_failed', detail, { errors: [{ pointer, code: fault.kind, detail }] });
}
