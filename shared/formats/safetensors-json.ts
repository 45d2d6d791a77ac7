/**
 * The JSON of a safetensors header, read strictly: `JSON.parse` keeps the last of two equal keys without a word, and a
 * header that names a tensor twice must be refused. Values are bounded in depth, and numbers must be safe integers written
 * as such, since shapes and offsets are the only numbers a header holds.
 */
import { jsonTextFault } from './json-text.ts';

export type HeaderValue = string | number | HeaderValue[] | { [name: string]: HeaderValue };

/** The caller turns it into its own typed error. */
export class HeaderSyntaxError extends Error {
  readonly duplicate: string | null;
  constructor(message: string, duplicate: string | null = null) {
    super(message);
    this.name = 'HeaderSyntaxError';
    this.duplicate = duplicate;
  }
}

const MAX_DEPTH = 4;

/** The value that `text` holds, all of it. @throws HeaderSyntaxError */
export function parseHeaderJson(text: string): HeaderValue {
  const fault = jsonTextFault(text, MAX_DEPTH);
  const at = fault?.path.at(-1);
  if (fault?.kind === 'name_repeated') {
    throw new HeaderSyntaxError(`'${at}' is named twice`, String(at));
  }
  if (fault?.kind === 'text_ill_formed') {
    throw new HeaderSyntaxError('a string holds half of a character (a lone surrogate)');
  }
  if (fault) {
    throw new HeaderSyntaxError('nested too deeply');
  }
  try {
    // `source` is the number as written: 2.0 and 1e3 are integers to the parser, and no shape
    return JSON.parse(text, (_name, value: unknown, context?: { source?: string }) => {
      if (typeof value === 'string' || (typeof value === 'object' && value !== null)) {
        return value;
      }
      if (!Number.isSafeInteger(value) || !/^-?[0-9]+$/.test(context?.source ?? String(value))) {
        throw new HeaderSyntaxError(`${context?.source ?? String(value)} is no integer below 2^53`);
      }
      return value;
    }) as HeaderValue;
  } catch (error) {
    if (error instanceof HeaderSyntaxError) {
      throw error;
    }
    throw new HeaderSyntaxError((error as Error).message.slice(0, 200));
  }
}
