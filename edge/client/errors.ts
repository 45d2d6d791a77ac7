/** Everything that a call can fail with. Each says what was wrong and what would be right. */
import type { Job, JobError } from '../../shared/contracts/job.ts';
import type { FieldError, Problem } from '../../shared/contracts/problem-document.ts';

/** What all errors of this client are. */
export class SextantClientError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The service refused the request: `code` is stable, `problem` is the whole document (RFC 9457). */
export class ApiError extends SextantClientError {
  readonly status: number;
  /** A code of the service's closed union. */
  readonly code: string;
  readonly problem: Problem;
  readonly errors: readonly FieldError[];
  readonly requestId: string;
  /** Seconds after which the same request may go better; null where the service did not say. */
  readonly retryAfterS: number | null;
  constructor(problem: Problem, retryAfterS: number | null) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
    this.problem = problem;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
    this.retryAfterS = retryAfterS;
  }
}

/** No answer came, or not all of it, and trying again did not help. */
export class NetworkError extends SextantClientError {}

/** Something answered, but not Sextant: mostly the wrong address, or a proxy in between. */
export class UnexpectedAnswerError extends SextantClientError {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/**
 * The request was carried out, but its answer was lost on the way and is not given twice: what it made stands at
 * `location`, without the secret that is shown once. Rotate it, or delete it and create another.
 */
export class AnswerLostError extends SextantClientError {
  readonly location: string;
  constructor(location: string) {
    super(
      `the request was carried out and made ${location}, but its answer was lost, and secrets are shown once: rotate it, or delete it and create another`,
    );
    this.location = location;
  }
}

/** Bytes are not those that were promised. */
export class IntegrityError extends SextantClientError {}

/** A job ended without a result. */
export class JobFailedError extends SextantClientError {
  readonly job: Job;
  readonly code: string;
  readonly errors: readonly FieldError[];
  readonly error: JobError | null;
  constructor(job: Job) {
    const { error } = job;
    super(
      job.status === 'canceled'
        ? `the job ${job.id} (${job.type}) was canceled`
        : `the job ${job.id} (${job.type}) failed with ${error?.code ?? 'no reason'}: ${error?.detail ?? ''}`,
    );
    this.job = job;
    this.code = job.status === 'canceled' ? 'canceled' : (error?.code ?? 'internal');
    this.errors = error?.errors ?? [];
    this.error = error;
  }
}
