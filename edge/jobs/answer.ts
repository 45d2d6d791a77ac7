/** Errors lose their class between a Durable Object and its caller: answers carry them as values instead. */
import { SextantError, type SextantErrorParts } from '../../shared/contracts/problem.ts';

export type Answer<T> =
  | { ok: true; value: T }
  | ({ ok: false } & Pick<SextantError, 'code' | 'errors' | 'retryAfterS' | 'details'> & { detail: string });

/** Runs the body and turns a SextantError into a value; anything else stays an exception. */
export async function answer<T>(body: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await body() };
  } catch (error) {
    if (!(error instanceof SextantError)) {
      throw error;
    }
    const { code, message, errors, retryAfterS, details } = error;
    return { ok: false, code, detail: message, errors, retryAfterS, details };
  }
}

/** The value of an answer. Raises the SextantError that it carries. */
export function unwrap<T>(given: Answer<T>): T {
  if (given.ok) {
    return given.value;
  }
  const { code, detail, ...more } = given;
  throw new SextantError(...([code, detail, more] as SextantErrorParts));
}
