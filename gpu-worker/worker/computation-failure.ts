/** What a thrown error says of the job: the code its clients see, and whether another attempt could go better. */
import type { JobError } from '../../shared/contracts/job.ts';
import { type JobFailureCode, SextantError } from '../../shared/contracts/problem.ts';
import { EngineError } from '../runtime/index.ts';

export type ComputationFailure = Omit<JobError, 'attempt'> & { retryable: boolean };

/** Errors of running programs that the same params would meet again; others may be the machine's. */
const ENGINE_CODES: Partial<Record<EngineError['code'], JobFailureCode>> = {
  loss_not_finite: 'not_finite',
  memory_budget_exceeded: 'memory_exceeded',
  program_rejected: 'computation_crashed',
  feed_missing: 'computation_crashed',
  feed_mismatch: 'computation_crashed',
  checkpoint_mismatch: 'computation_crashed',
};

/** Paths of this machine's disk, which messages of runtime and system quote. */
const PATHS = /(?:file:\/\/)?(?:\/[\w.@+~-]+){2,}\/?|[A-Za-z]:\\[^\s'"]+/g;
const withoutPaths = (text: string): string => text.replace(PATHS, '[path]');

/** Errors that a job states at most, and characters of each. */
const MOST_ERRORS = 100;
const LONGEST = 2000;

/** A typed error as a job states it. */
export const statedError = ({ code, message, errors }: SextantError): Omit<JobError, 'attempt'> => ({
  code,
  detail: message.slice(0, LONGEST),
  ...(errors && {
    errors: errors.slice(0, MOST_ERRORS).map((one) => ({
      pointer: one.pointer.slice(0, LONGEST),
      code: one.code,
      detail: one.detail.slice(0, LONGEST),
    })),
  }),
});

export function computationFailure(error: unknown): ComputationFailure {
  const detail = withoutPaths(String(error instanceof Error ? error.message : error)).slice(0, LONGEST);
  if (error instanceof SextantError) {
    return { ...statedError(error), retryable: error.code === 'unavailable' };
  }
  const code = error instanceof EngineError ? ENGINE_CODES[error.code] : undefined;
  return code ? { code, detail, retryable: false } : { code: 'computation_crashed', detail, retryable: true };
}
