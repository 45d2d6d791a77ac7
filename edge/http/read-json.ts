/** A JSON body of a call that is not part of the public contract, read by its schema. */
import type { z } from 'zod';
import { SextantError } from '../../shared/contracts/problem.ts';
import { decodeUtf8 } from './body.ts';
import { fieldErrors } from './problem.ts';

/** Raises `body_malformed` and `validation_failed`. */
export function readJson<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes) || '{}');
  } catch (cause) {
    throw cause instanceof SextantError ? cause : new SextantError('body_malformed', 'the body is not JSON', { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    return parsed.data;
  }
  const errors = fieldErrors(parsed.error.issues);
  throw new SextantError('validation_failed', `${errors[0]?.pointer}: ${errors[0]?.detail}`, { errors });
}
