/**
 * The life of a job as pure functions: a state and a time go in, the next state comes out. Nothing here stores, sends or
 * reads a clock; the ledger object does that around these functions. Times are milliseconds since the epoch.
 */
import {
  isTerminal,
  type JobArtefact,
  type JobError,
  type JobStatus,
  type Progress,
  type RunReport,
} from '../../shared/contracts/job.ts';
import type { Lane } from '../../shared/contracts/lane.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { DEFAULT_POOL } from '../workers/pools.ts';

/** One handing-out of the job; the ledger may send it several times. */
export type Dispatch = { readonly id: string; readonly sends: number; readonly next_send_at: number };
/** Who claims: a registered worker, its running process, the dispatch that brought it, what a computation of it may take. */
export type Claimant = {
  readonly worker: string;
  readonly dispatch?: string | undefined;
  readonly nonce?: string | undefined;
  readonly memory_bytes?: number | undefined;
};
/** One claim. It is kept after its end, so that a late call of its worker gets a precise answer. */
export type Attempt = Claimant & {
  readonly number: number;
  readonly fence: string;
  readonly started_at: number;
  readonly lease_until: number;
  /** The length of the lease; absent in attempts from before it was kept. */
  readonly lease_ms?: number;
  /** The lease was prolonged once because nobody looked when it ended: the ledger itself was away. */
  readonly excused?: boolean;
  /** The lease ran out; the worker may take the job up again as long as nobody else has. */
  readonly lapsed?: boolean;
};
/** What broke on workers' own side. */
export type HostFaults = {
  /** Attempts that a host's fault ended. */
  readonly attempts: number;
  /** Workers that do not get the job, and until when. */
  readonly refused: readonly { readonly worker: string; readonly until: number }[];
  /** Workers with this much memory or less do not get it either. */
  readonly outgrown?: { readonly bytes: number; readonly until: number };
  /** Claims refused since the last one that was not. */
  readonly passed: number;
};
export type Outcome = {
  readonly result: Record<string, unknown>;
  readonly result_digest: string;
  readonly metrics: Record<string, number>;
  readonly run: RunReport;
  readonly artefacts: readonly JobArtefact[];
  readonly published: readonly { kind: string; id: string }[];
};
/** What the creator fixed for good. */
export type Terms = {
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly input_digest: string;
  readonly created_at: number;
  readonly timeout_ms: number;
  readonly queue_ttl_ms: number;
  readonly max_attempts: number;
  readonly retention_ms: number;
  /** Jobs on people's data: their params and input artefacts go this long after the end; null keeps them as others. */
  readonly inputs_kept_ms: number | null;
  readonly estimate_s: number;
  /** Device seconds that the job may take; absent in jobs from before it was kept, and where none was named. */
  readonly max_cost_s?: number | undefined;
  /** The job whose checkpoint this one took over. */
  readonly resumed_from?: string;
  readonly webhook: string | null;
  /** The key in whose name it was created; absent in jobs from before keys were noted. */
  readonly key?: string;
  /** Workers of this pool take it; absent in jobs from before there were pools. */
  readonly pool?: string;
  /** The line in which it waits; absent in jobs from before there were two. */
  readonly lane?: Lane;
  /** Traceparent of what brought it about; absent in jobs from before traces. */
  readonly trace?: string;
  /** Its client follows it token by token. */
  readonly followed?: boolean;
  /** How long it goes on when those who followed it have gone; absent where it does not mind. */
  readonly abandon_ms?: number;
  /** The run that waits for it. */
  readonly run?: string | null;
  readonly labels: Readonly<Record<string, string>>;
};
export type JobState = Terms & {
  readonly status: JobStatus;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  /** Begin of the current stay in the queue. */
  readonly queued_at: number;
  /** Running time of the attempts that ended. */
  readonly ran_ms: number;
  /** Numbers attempts; never reused, since staging keys hold it. */
  readonly claims: number;
  /** Attempts that count against the cap. */
  readonly charged: number;
  /** What broke on workers' own side, and who does not get the job at present; absent while nothing has. */
  readonly hosts?: HostFaults;
  readonly dispatch: Dispatch;
  readonly attempt: Attempt | null;
  /** The completion is accepted and is being published: nothing can take the job from here any more. */
  readonly sealed: boolean;
  readonly progress: Progress | null;
  readonly error: JobError | null;
  readonly outcome: Outcome | null;
  /** When it is canceled unless somebody follows it again. */
  readonly abandon_at?: number | null;
  /** The job that took its checkpoint over. */
  readonly resumed_by?: string;
  /** The params and input artefacts of a job on people's data have been deleted. */
  readonly purged: boolean;
};
export type Timing = { readonly lease_ms: number; readonly resend_ms: number };

/** Pause before a failed attempt is followed by another, doubling with each. */
const RETRY_MS = 1000;
const RETRY_LIMIT_MS = 60_000;
/** Re-sends of a dispatch double their distance up to this. */
const RESEND_LIMIT_MS = 3_600_000;
/** A lease whose end was noticed so late ended while the ledger was away, and its worker could not reach it either. */
const AWAY_MS = 1000;

/** The pool and lane whose dispatcher has the job. */
export const lineOf = ({ pool, lane }: Pick<Terms, 'pool' | 'lane'>): { pool: string; lane: Lane } => ({
  pool: pool ?? DEFAULT_POOL,
  lane: lane ?? 'batch',
});

export const create = (terms: Terms, dispatch: string): JobState => ({
  ...terms,
  status: 'queued',
  started_at: null,
  ended_at: null,
  queued_at: terms.created_at,
  ran_ms: 0,
  claims: 0,
  charged: 0,
  dispatch: { id: dispatch, sends: 0, next_send_at: terms.created_at },
  attempt: null,
  sealed: false,
  progress: null,
  error: null,
  outcome: null,
  purged: false,
});

export const end = (state: JobState, status: JobStatus, at: number, change: Partial<JobState>): JobState => ({
  ...state,
  status,
  ended_at: at,
  ran_ms: state.ran_ms + runningFor(state, at),
  sealed: false,
  ...change,
});

const runningFor = (state: JobState, at: number): number =>
  state.status === 'running' && state.attempt ? Math.max(0, at - state.attempt.started_at) : 0;

export const failure = (
  state: JobState,
  code: JobError['code'],
  detail: string,
  errors?: JobError['errors'] | undefined,
): JobError => ({ code, detail: detail.slice(0, 2000), ...(errors && { errors }), attempt: state.claims });

/** Back to the queue under a new dispatch; `at` is when the attempt ended, `now` when the queue has the job again. */
export const requeue = (
  state: JobState,
  { at, now, pause_ms = 0 }: { at: number; now: number; pause_ms?: number },
  dispatch: string,
  error: JobError | null,
): JobState => ({
  ...state,
  status: 'queued',
  queued_at: now,
  ran_ms: state.ran_ms + runningFor(state, at),
  dispatch: { id: dispatch, sends: 0, next_send_at: now + pause_ms },
  progress: null,
  error,
});

const retryOrGiveUp = (
  state: JobState,
  when: { at: number; now: number; pause_ms?: number },
  dispatch: string,
  error: JobError,
): JobState =>
  state.charged < state.max_attempts
    ? requeue(state, when, dispatch, error)
    : end(state, 'failed', when.at, {
        error: failure(
          state,
          'attempts_exhausted',
          `${state.charged} of ${state.max_attempts} attempts ended without a result; the last: ${error.code}: ${error.detail}`,
          error.errors,
        ),
      });

/** What the passing of time alone does: lost leases, used-up running time, a queue that never delivered, a client that left. */
export function advance(given: JobState, now: number, dispatch: () => string): JobState {
  const state = withinSchedule(given, now);
  if (isAbandoned(state) && now >= (state.abandon_at ?? 0)) {
    return end(state, 'canceled', now, {});
  }
  if (state.status === 'queued' && now >= state.queued_at + state.queue_ttl_ms) {
    const waited = `no worker took the job within ${state.queue_ttl_ms / 1000} s`;
    return end(state, 'failed', now, { error: failure(state, 'queue_ttl', waited) });
  }
  if (state.status !== 'running' || state.sealed || !state.attempt) {
    return state;
  }
  const out = timeoutAt(state);
  const lost = lostAt(state, state.attempt);
  if (now < Math.min(out, lost)) {
    return state;
  }
  if (out <= lost) {
    const detail = `the job ran ${state.timeout_ms / 1000} s over ${state.charged} attempt(s), all that timeout_s allows`;
    return end(state, 'failed', out, { error: failure(state, 'timeout', detail) });
  }
  const { lease_ms, excused } = state.attempt;
  if (lease_ms !== undefined && !excused && now - lost > AWAY_MS) {
    return { ...state, attempt: { ...state.attempt, lease_until: now + lease_ms, excused: true } };
  }
  return loseAttempt(state, state.attempt, now, dispatch);
}

/** The attempt's lease is over: another may have the job, and until one does its worker may take it up again. */
export function loseAttempt(state: JobState, attempt: Attempt, now: number, dispatch: () => string): JobState {
  const detail = `worker ${attempt.worker} sent no heartbeat before its lease ran out`;
  const lapsed = { ...state, attempt: { ...attempt, lapsed: true } };
  const at = Math.min(now, attempt.lease_until);
  return retryOrGiveUp(lapsed, { at, now }, dispatch(), failure(state, 'lease_lost', detail));
}

/** After its last attempt a job has ended for good: the worker gets the length of a lease to come back. */
const lostAt = (state: JobState, { lease_until, lease_ms = 0 }: Attempt): number =>
  lease_until + (state.charged < state.max_attempts ? 0 : lease_ms);

/** The clock has gone back where a time lies further away than its schedule allows: no job waits for such a time. */
function withinSchedule(state: JobState, now: number): JobState {
  const { attempt, dispatch } = state;
  if (state.status === 'queued') {
    const late = dispatch.next_send_at > now + RESEND_LIMIT_MS;
    return late || state.queued_at > now + RESEND_LIMIT_MS
      ? {
          ...state,
          queued_at: Math.min(now, state.queued_at),
          dispatch: { ...dispatch, next_send_at: late ? now : dispatch.next_send_at },
        }
      : state;
  }
  if (state.status !== 'running' || !attempt?.lease_ms || attempt.lease_until <= now + attempt.lease_ms) {
    return state;
  }
  const started_at = Math.min(now, attempt.started_at);
  return { ...state, attempt: { ...attempt, started_at, lease_until: now + attempt.lease_ms } };
}

const timeoutAt = (state: JobState): number =>
  (state.attempt?.started_at ?? 0) + Math.max(0, state.timeout_ms - state.ran_ms);

/** Running time of all attempts so far, in seconds. */
export const ranSeconds = (state: JobState, now: number): number => (state.ran_ms + runningFor(state, now)) / 1000;

/** Running time left over all attempts, in seconds. */
export const remainingSeconds = (state: JobState, now: number): number =>
  Math.max(0, (state.timeout_ms - state.ran_ms - runningFor(state, now)) / 1000);

/** Everybody who followed the job has gone. */
export const abandoned = (state: JobState, now: number): JobState =>
  isTerminal(state.status) || state.abandon_ms === undefined ? state : { ...state, abandon_at: now + state.abandon_ms };
/** Somebody follows it again. */
export const followedAgain = (state: JobState): JobState =>
  isAbandoned(state) ? { ...state, abandon_at: null } : state;
const isAbandoned = ({ status, sealed, abandon_at }: JobState): boolean =>
  !isTerminal(status) && !sealed && typeof abandon_at === 'number';

/** When `advance`, or a send of the dispatch, has something to do next; null when time changes nothing. */
export function nextChange(state: JobState): number | null {
  const own = nextOwnChange(state);
  return isAbandoned(state) ? Math.min(own ?? Number.POSITIVE_INFINITY, state.abandon_at ?? 0) : own;
}

function nextOwnChange(state: JobState): number | null {
  if (state.status === 'queued') {
    return Math.min(state.dispatch.next_send_at, state.queued_at + state.queue_ttl_ms);
  }
  if (state.status === 'running' && !state.sealed && state.attempt) {
    return Math.min(lostAt(state, state.attempt), timeoutAt(state));
  }
  return null;
}

export const sendIsDue = (state: JobState, now: number): boolean =>
  state.status === 'queued' && now >= state.dispatch.next_send_at;

/** Not now: the job comes back into line at `at`, at its old place. */
export const postpone = (state: JobState, at: number): JobState => ({
  ...state,
  dispatch: { ...state.dispatch, next_send_at: at },
});

export function sent(state: JobState, now: number, { resend_ms }: Timing): JobState {
  const pause = Math.min(RESEND_LIMIT_MS, resend_ms * 2 ** Math.min(state.dispatch.sends, 30));
  return {
    ...state,
    dispatch: { ...state.dispatch, sends: state.dispatch.sends + 1, next_send_at: now + pause },
  };
}

export const seal = (state: JobState): JobState => ({ ...state, sealed: true });

export const succeed = (state: JobState, outcome: Outcome, now: number): JobState =>
  end(state, 'succeeded', now, {
    outcome,
    error: null,
    progress: { fraction: 1, stage: 'done', metrics: state.progress?.metrics ?? {} },
  });

export function fail(
  state: JobState,
  error: Omit<JobError, 'attempt'>,
  retryable: boolean,
  now: number,
  dispatch: string,
): JobState {
  const stated = failure(state, error.code, error.detail, error.errors);
  // What failed just now would often fail again at once: a hub that is away, a disk that is full.
  const pause_ms = Math.min(RETRY_LIMIT_MS, RETRY_MS * 2 ** (state.charged - 1));
  return retryable
    ? retryOrGiveUp(state, { at: now, now, pause_ms }, dispatch, stated)
    : end(state, 'failed', now, { error: stated });
}

/** The worker gives the job back unharmed: the attempt does not count. */
export const release = (state: JobState, now: number, dispatch: string): JobState => ({
  ...requeue(state, { at: now, now }, dispatch, null),
  charged: state.charged - 1,
});

/** Whether the job can be taken up where it stopped: its checkpoint is kept for that. */
export const isResumable = ({ status, error }: Pick<JobState, 'status' | 'error'>): boolean =>
  status === 'failed' && error?.code === 'spending_cap';

/** Cancels what has not ended; canceling a canceled job changes nothing. Raises `job_terminal`. */
export function cancel(state: JobState, now: number): JobState {
  if (state.status === 'canceled') {
    return state;
  }
  if (isTerminal(state.status)) {
    throw new SextantError('job_terminal', `the job has ${state.status} already`);
  }
  if (state.sealed) {
    throw new SextantError('job_terminal', 'the job has its result and is being published');
  }
  return end(state, 'canceled', now, {});
}

/** The queue gave up the message of this dispatch; only a job that still waits for exactly that dispatch is lost. */
export const deadLetter = (state: JobState, dispatch: string, now: number): JobState =>
  state.status === 'queued' && state.dispatch.id === dispatch
    ? end(state, 'failed', now, {
        error: failure(state, 'dead_letter', 'the queue gave the message up after its last retry'),
      })
    : state;

/** When the inputs of a job on people's data have to go; null where they do not, or have gone. */
export const purgeAt = (state: JobState): number | null =>
  state.ended_at === null || state.inputs_kept_ms === null || state.purged
    ? null
    : state.ended_at + state.inputs_kept_ms;
