/** What a thrown error says of the job: the code its clients see, and whether another attempt could go better. */
import type { JobError } from '../../shared/contracts/job.ts';
import { type JobFailureCode, SextantError } from '../../shared/contracts/problem.ts';
import { EngineError } from '../runtime/index.ts';

/** `host`: this worker's own machine or installation broke. */
export type ComputationFailure = Omit<JobError, 'attempt'> & { retryable: boolean; host?: boolean };

/** Errors of running programs that the same params would meet again; a device that is missing may be another worker's. */
const ENGINE_CODES: Partial<Record<EngineError['code'], JobFailureCode>> = {
  loss_not_finite: 'not_finite',
  memory_budget_exceeded: 'memory_exceeded',
  program_rejected: 'computation_crashed',
  run_failed: 'computation_crashed',
  feed_missing: 'computation_crashed',
  feed_mismatch: 'computation_crashed',
  checkpoint_mismatch: 'computation_crashed',
  session_released: 'internal',
};

/** Typed errors that another attempt may not meet: the network's, and those of addresses that have outlived their time. */
const WORTH_REPEATING = new Set<JobFailureCode>(['unavailable', 'artefact_missing', 'artefact_mismatch']);

/** How the runtime says that it got no memory. */
const NO_MEMORY = /bad_alloc|failed to allocate memory|out of memory/i;

/** Errors of the disk and the network that pass; the others say that something is not there or not allowed. */
const PASSING = new Set(['EAGAIN', 'EBUSY', 'EMFILE', 'ENFILE', 'ETIMEDOUT', 'ECONNRESET', 'EPIPE']);

/** Errors of the system that are this machine's fault, whatever the job does. */
const HOST_CODES: Readonly<Record<string, JobFailureCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EIO: 'cache_unusable',
  EROFS: 'cache_unusable',
  EACCES: 'cache_unusable',
  EPERM: 'cache_unusable',
  ENOTDIR: 'cache_unusable',
  ERR_DLOPEN_FAILED: 'runtime_broken',
  ERR_MODULE_NOT_FOUND: 'runtime_broken',
  MODULE_NOT_FOUND: 'runtime_broken',
};
/** The same as words, where the runtime hands on the system's message without its code. */
const NO_SPACE = /no space left on device|disk quota exceeded/i;
/** Typed errors that say that this worker cannot run what another may. */
const HOST_ERRORS = new Set<JobFailureCode>(['job_type_unknown', 'worker_outdated']);

/** Paths of this machine's disk, which messages of runtime and system quote. */
const PATHS = /(?:file:\/\/)?(?:\/[\w.@+~-]+){2,}\/?|[A-Za-z]:\\[^\s'"]+/g;
const withoutPaths = (text: string): string => text.replace(PATHS, '[path]');

/** Errors that a job states at most, and characters of each. */
const MOST_ERRORS = 100;
const LONGEST = 2000;

/** How a message begins that says which of the params is wrong. */
const POINTED = /^((?:\/[a-z0-9_]+)+): (.+)$/s;

/** The param that a typed error names, in front of its message alone or in a list. */
function errorsOf({ code, message, errors }: SextantError): NonNullable<SextantError['errors']> {
  const [, pointer, detail] = POINTED.exec(message) ?? [];
  return errors ?? (pointer && detail ? [{ pointer: `/params${pointer}`, code, detail }] : []);
}

/** A typed error as a job states it. */
export function statedError(error: SextantError): Omit<JobError, 'attempt'> {
  const errors = errorsOf(error).slice(0, MOST_ERRORS);
  return {
    code: error.code,
    detail: error.message.slice(0, LONGEST),
    ...(errors.length > 0 && {
      errors: errors.map((one) => ({
        pointer: one.pointer.slice(0, LONGEST),
        code: one.code,
        detail: one.detail.slice(0, LONGEST),
      })),
    }),
  };
}

export function computationFailure(error: unknown): ComputationFailure {
  const detail = withoutPaths(String(error instanceof Error ? error.message : error)).slice(0, LONGEST);
  if (error instanceof SextantError) {
    const host = HOST_ERRORS.has(error.code) || undefined;
    return { ...statedError(error), retryable: host ?? WORTH_REPEATING.has(error.code), ...(host && { host }) };
  }
  const fault = hostFaultOf(error);
  if (fault) {
    return { code: fault, detail, retryable: true, host: true };
  }
  const permanent = permanentCode(error);
  return permanent
    ? { code: permanent, detail, retryable: false }
    : { code: 'computation_crashed', detail, retryable: true };
}

/** The code of a fault of this machine or of what is installed on it; undefined for any other. */
function hostFaultOf(error: unknown): JobFailureCode | undefined {
  if (!(error instanceof Error)) {
    return undefined;
  }
  if (NO_SPACE.test(error.message)) {
    return 'disk_full';
  }
  if (error instanceof EngineError) {
    return error.code === 'provider_unavailable' ? 'device_unavailable' : undefined;
  }
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && Object.hasOwn(HOST_CODES, code) ? HOST_CODES[code] : undefined;
}

/** The code of an error that every attempt would meet; undefined for one that may pass. */
function permanentCode(error: unknown): JobFailureCode | undefined {
  if (!(error instanceof Error)) {
    return undefined;
  }
  if (error instanceof EngineError) {
    const allocating = ['program_rejected', 'run_failed'].includes(error.code) && NO_MEMORY.test(error.message);
    return allocating ? 'memory_exceeded' : ENGINE_CODES[error.code];
  }
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    return PASSING.has(code) ? undefined : 'computation_crashed';
  }
  // A fault of the program itself.
  const faults = [TypeError, RangeError, ReferenceError, SyntaxError];
  return faults.some((fault) => error instanceof fault) ? 'internal' : undefined;
}
