/** Errors lose their class between a Durable Object and its caller: answers carry them as values instead. */
import { type FieldError, type JobFailureCode, SextantError } from '../../shared/contracts/problem.ts';

type Refusal = {
  ok: false;
  code: JobFailureCode;
  detail: string;
  errors: FieldError[] | null;
  headers: Record<string, string>;
};
export type Answer<T> = { ok: true; value: T } | Refusal;

/** Runs the body and turns a SextantError into a value; anything else stays an exception. */
export async function answer<T>(body: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await body() };
  } catch (error) {
    if (!(error instanceof SextantError)) throw error;
    const { code, message, errors, headers } = error;
    return { ok: false, code, detail: message, errors: errors ?? null, headers };
  }
}

/** The value of an answer. Raises the SextantError that it carries. */
export function unwrap<T>(given: Answer<T>): T {
  if (given.ok) return given.value;
  const { code, detail, errors, headers } = given;
  throw new SextantError(code, detail, errors ? { errors, headers } : { headers });
}
