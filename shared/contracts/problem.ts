/**
 * Every error that Sextant answers with, as one closed union (RFC 9457 problem details). A code is stable; its status and
 * title are fixed here; `detail` says what was wrong and what would be right.
 */
import type { FieldError } from './problem-document.ts';

/** code -> [HTTP status, title]. */
export const PROBLEMS = {
  body_malformed: [400, 'The body is not well-formed'],
  idempotency_key_missing: [400, 'An Idempotency-Key header is required'],
  parameter_invalid: [400, 'A query parameter or header is not valid'],
  unauthenticated: [401, 'A valid API key is required'],
  signature_invalid: [401, 'The signature does not verify'],
  clock_skew: [401, 'The signature is outside its time of life'],
  spending_cap: [402, 'A cap on device seconds is reached'],
  scope_missing: [403, 'The API key lacks a scope'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  not_acceptable: [406, 'No such representation'],
  idempotency_in_flight: [409, 'A request with this key is in flight'],
  job_busy: [409, 'Another worker holds the job'],
  job_terminal: [409, 'The job has ended'],
  fence_stale: [409, 'The fencing token is not the current one'],
  worker_refused: [409, 'This worker is not to take the job at present'],
  dispatch_unknown: [409, 'The ledger did not issue this dispatch'],
  artefact_missing: [409, 'A listed artefact was not uploaded'],
  artefact_mismatch: [409, 'An uploaded artefact differs from what was announced'],
  hook_disabled: [409, 'The inbound hook is disabled'],
  conflict: [409, 'The state does not allow this'],
  version_mismatch: [412, 'If-Match names another version'],
  precondition_failed: [412, 'A condition of the request does not hold'],
  version_required: [428, 'If-Match is required to change this'],
  body_too_large: [413, 'The body is too large'],
  computation_too_large: [413, 'Too large for the edge; create a job instead'],
  media_type_unsupported: [415, 'The content type is not supported'],
  range_unsatisfiable: [416, 'The range is outside the artefact'],
  validation_failed: [422, 'The request does not fit its schema'],
  idempotency_key_reused: [422, 'The Idempotency-Key was used with another request'],
  job_type_unknown: [422, 'There is no such job type'],
  model_unknown: [422, 'There is no such model'],
  model_unsupported: [422, 'The model is not supported'],
  weights_invalid: [422, 'The files of the model are not valid'],
  hook_unknown: [422, 'The model has no such hook point'],
  width_mismatch: [422, 'A vector has the wrong width'],
  tokenizer_mismatch: [422, 'The tokenizer does not fit the model'],
  context_exceeded: [422, 'The input is longer than the context of the model'],
  input_not_found: [422, 'A referenced input does not exist'],
  address_refused: [422, 'Webhooks are not sent to this address'],
  reference_unresolved: [422, 'A reference in a recipe has no value'],
  data_invalid: [422, 'The data cannot be used'],
  quota_exceeded: [429, 'Too many requests'],
  internal: [500, 'An internal error occurred'],
  unavailable: [503, 'Temporarily unavailable'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Reasons with which a job fails; beside them a handler may fail with any problem code. */
export const JOB_FAILURE_TITLES = {
  attempts_exhausted: 'Every attempt ended without a result',
  timeout: 'The job used up its timeout_s of running time',
  lease_lost: 'The worker fell silent',
  queue_ttl: 'No worker took the job within queue_ttl_s',
  memory_exceeded: 'The computation hit its memory limit',
  computation_crashed: 'The computation ended without a word',
  stalled: 'The computation showed no progress',
  disk_full: "The worker's disk is full",
  cache_unusable: "The worker's data folder cannot be used",
  runtime_broken: "The worker's runtime does not start",
  device_unavailable: 'The worker lacks the device it was set up for',
  worker_outdated: 'The worker is of another version than the job',
  not_finite: 'A loss or parameter became NaN or infinite',
  not_converged: 'An iterative fit did not reach a solution',
  dead_letter: 'The queue gave the message up',
} as const;
export type JobFailureCode = keyof typeof JOB_FAILURE_TITLES | ProblemCode;

const escaped = (part: PropertyKey): string => String(part).replaceAll('~', '~0').replaceAll('/', '~1');
/** JSON pointer (RFC 6901) of a path; the root is the empty string. */
export const jsonPointer = (path: readonly PropertyKey[]): string => path.map((part) => `/${escaped(part)}`).join('');

/** What errors of some codes say besides their sentence; how an answer shows it is the edge's business. */
export type ProblemDetails = {
  spending_cap: { estimate: { device_seconds: number; memory_bytes: number; artefact_bytes: number } };
  /** `job_type`: jobs of this type take what is larger. */
  body_too_large: { job_type: string };
  computation_too_large:
    | { job_type: string }
    | { job_type: string; estimate_ms: number; budget_ms: number }
    | { job_type: string; width: number; largest_width: number };
  /** Of `limit` requests, `left` until `end` (ms since the epoch). */
  quota_exceeded: { policy: 'reads' | 'writes' | 'jobs' | 'anonymous'; limit: number; left: number; end: number };
  /** Size of what a range was asked of. */
  range_unsatisfiable: { bytes: number };
  /** The version that stands. */
  version_mismatch: { version: number };
  method_not_allowed: { allowed: readonly string[] };
  media_type_unsupported: { accepted: readonly string[] };
};
type DetailedCode = keyof ProblemDetails;

/** What an error may carry beside its code and its sentence. */
type More = {
  errors?: FieldError[] | undefined;
  /** After how many seconds the same request may go better. */
  retryAfterS?: number | undefined;
  cause?: unknown;
};
export type SextantErrorParts =
  | [code: JobFailureCode, detail: string, more?: More]
  | { [C in DetailedCode]: [code: C, detail: string, more: More & { details: ProblemDetails[C] }] }[DetailedCode];

/** An error with a code of the union above; thrown anywhere, mapped to an answer or a job's error in one place. */
export class SextantError extends Error {
  readonly code: JobFailureCode;
  readonly errors: FieldError[] | undefined;
  readonly retryAfterS: number | undefined;
  /** Belongs to `code`; `detailsOf` reads it with its type. */
  readonly details: ProblemDetails[DetailedCode] | undefined;
  constructor(...[code, detail, more = {}]: SextantErrorParts) {
    super(detail, { cause: more.cause });
    this.name = 'SextantError';
    this.code = code;
    this.errors = more.errors;
    this.retryAfterS = more.retryAfterS;
    this.details = 'details' in more ? more.details : undefined;
  }
}

/** The details of an error of this code; undefined where it is of another code or has none. */
export const detailsOf = <C extends DetailedCode>(error: SextantError, code: C): ProblemDetails[C] | undefined =>
  error.code === code ? (error.details as ProblemDetails[C] | undefined) : undefined;

/** The same error about other places of the request: `place` says where each stands. */
export const relocated = (error: SextantError, place: (pointer: string) => string): SextantError => {
  const { code, message, details, retryAfterS, cause } = error;
  const errors = error.errors?.map((one) => ({ ...one, pointer: place(one.pointer) }));
  return new SextantError(...([code, message, { errors, details, retryAfterS, cause }] as SextantErrorParts));
};

/** An error about the value at `pointer` (RFC 6901) in the params of a job. */
export const paramError = (code: JobFailureCode, pointer: string, detail: string): SextantError =>
  new SextantError(code, detail, { errors: [{ pointer: `/params${pointer}`, code, detail }] });
