/** Errors become `application/problem+json` (RFC 9457) here and nowhere else; nothing internal leaks into them. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { z } from 'zod';
import {
  detailsOf,
  jsonPointer,
  PROBLEMS,
  type ProblemCode,
  type ProblemDetails,
  SextantError,
} from '../../shared/contracts/problem.ts';
import type { FieldError, Problem } from '../../shared/contracts/problem-document.ts';
import type { AppEnv } from '../environment.ts';
import { log } from '../log.ts';
import { rateLimit, rateLimitPolicy } from '../quota/allowance.ts';

const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/** Errors that an answer lists at most: a column of a million wrong cells is not told cell by cell. */
const MOST_ERRORS = 100;

type Told<T> = { readonly [C in keyof ProblemDetails]?: (details: ProblemDetails[C]) => T };

/** Headers that tell the details of an error. */
const HEADERS: Told<Record<string, string>> = {
  quota_exceeded: (allowance) => ({
    'ratelimit-policy': rateLimitPolicy(allowance),
    ratelimit: rateLimit(allowance, Date.now()),
  }),
  range_unsatisfiable: ({ bytes }) => ({ 'content-range': `bytes */${bytes}` }),
  version_mismatch: ({ version }) => ({ etag: `"${version}"` }),
  method_not_allowed: ({ allowed }) => ({ allow: allowed.join(', ') }),
  media_type_unsupported: ({ accepted }) => ({ 'accept-post': accepted.join(', ') }),
};

/** Extension members of the problem document (RFC 9457, 3.2) that tell the details of an error. */
const MEMBERS: Told<Record<string, unknown>> = {
  spending_cap: (details) => details,
  body_too_large: (details) => details,
  computation_too_large: (details) => details,
  quota_exceeded: ({ policy }) => ({ 'violated-policies': [policy] }),
};

function toldBy<T extends object>(table: Told<T>, error: SextantError): T | undefined {
  const tell = <C extends keyof ProblemDetails>(code: C): T | undefined => {
    const details = detailsOf(error, code);
    return details && table[code]?.(details);
  };
  for (const code of Object.keys(table) as (keyof ProblemDetails)[]) {
    if (error.code === code) {
      return tell(code);
    }
  }
  return undefined;
}

/** What is told of any error that a handler raised. */
export function problemOf(error: Error, c: Context<AppEnv>): Problem {
  const known = asSextantError(error);
  const code = isProblemCode(known.code) ? known.code : 'internal';
  if (code === 'internal') {
    log.error('an internal error', {
      request_id: c.get('requestId'),
      trace: c.get('trace'),
      stack: error.stack ?? String(error),
    });
  }
  const [status, title] = PROBLEMS[code];
  return {
    ...toldBy(MEMBERS, known),
    // relative to the answer's own address: a Host header is the caller's to choose
    type: `/problems/${code}`,
    title,
    status,
    detail: code === 'internal' ? `report the request id ${c.get('requestId')}` : known.message,
    instance: c.req.path.slice(0, 500),
    code,
    request_id: c.get('requestId'),
    ...(known.errors ? { errors: known.errors.slice(0, MOST_ERRORS) } : {}),
  };
}

/** The answer for any error that a handler raised. */
export function problemAnswer(error: Error, c: Context<AppEnv>): Response {
  const known = asSextantError(error);
  const problem = problemOf(error, c);
  const { status } = problem;
  const headers: Record<string, string> = { 'cache-control': 'no-store', ...toldBy(HEADERS, known) };
  if (status === 401) {
    headers['www-authenticate'] = 'Bearer realm="sextant"';
  }
  const retryAfterS = known.retryAfterS ?? (status === 503 ? 5 : undefined);
  if (retryAfterS !== undefined) {
    headers['retry-after'] = String(retryAfterS);
  }
  const shaped = c.get('errorShape')?.(problem);
  if (shaped) {
    return Response.json(shaped.body, { status: shaped.status, headers });
  }
  return new Response(JSON.stringify(problem), {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
  });
}

function asSextantError(error: Error): SextantError {
  if (error instanceof SextantError) {
    return error;
  }
  if (error instanceof HTTPException) {
    const code: ProblemCode =
      error.status === 415 ? 'media_type_unsupported' : error.status === 400 ? 'body_malformed' : 'internal';
    return new SextantError(code, error.message, { cause: error });
  }
  return new SextantError('internal', error.message, { cause: error });
}

/** Where a value came from decides what a misfit of it means. */
const TARGET_CODES: Record<string, ProblemCode> = {
  json: 'validation_failed',
  query: 'parameter_invalid',
  header: 'parameter_invalid',
  // an id that cannot exist does not exist
  param: 'not_found',
};

/** zod-openapi's hook: raises what did not fit the schema, with JSON pointers. */
export function refuseMisfit(result: { target: string; success: boolean; error?: unknown }): undefined {
  if (result.success) {
    return undefined;
  }
  const errors = fieldErrors((result.error as z.ZodError).issues);
  const code = TARGET_CODES[result.target] ?? 'validation_failed';
  const misnamed = errors.find((error) => error.code === 'name_invalid');
  if (code === 'not_found' && misnamed) {
    throw new SextantError('parameter_invalid', `${misnamed.pointer}: ${misnamed.detail}`, { errors });
  }
  if (code === 'not_found') {
    throw new SextantError(code, 'there is no such resource');
  }
  const first = errors[0];
  const where = first ? `${first.pointer || 'the whole body'}: ${first.detail}` : 'the request';
  const others = errors.length - 1;
  const more = errors.length < MOST_ERRORS ? `${others}` : `at least ${MOST_ERRORS - 1}`;
  throw new SextantError(code, others > 0 ? `${where} (and ${more} more)` : where, { errors });
}

/** Issues of a schema as field errors; of a union, those of the alternative that fits best. */
export function fieldErrors(issues: readonly z.core.$ZodIssue[], at: readonly PropertyKey[] = []): FieldError[] {
  return issues.flatMap((issue): FieldError[] => {
    const path = [...at, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        pointer: jsonPointer([...path, key]),
        code: 'unknown_field',
        detail: `there is no field ${key} here`,
      }));
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const alternatives = issue.errors.map((branch) => fieldErrors(branch, path));
      return alternatives.reduce((best, next) => (next.length < best.length ? next : best));
    }
    // A check of our own says what it found in the issue's params.
    const own = issue.code === 'custom' ? issue.params?.code : undefined;
    return [{ pointer: jsonPointer(path), code: typeof own === 'string' ? own : issue.code, detail: issue.message }];
  });
}
