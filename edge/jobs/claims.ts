/** Who holds a job, as pure functions: claims, repeated ones, leases that are renewed, and those taken up again. */
import { isTerminal, type Progress } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type Attempt, type Claimant, type JobState, loseAttempt, type Timing } from './state.ts';

/**
 * Hands the job to a worker; the process that has it already gets the same attempt again, and one that was started anew
 * in its place gets a new one. Raises `job_terminal` or `job_busy`.
 */
export function claim(
  given: JobState,
  { fence, ...by }: Claimant & { fence: string },
  now: number,
  timing: Timing,
  dispatch: () => string,
): JobState {
  if (isRepeated(given, by)) {
    return heartbeat(takeUp(given), null, now, timing);
  }
  const state = isRestarted(given, by) ? loseAttempt(given, given.attempt as Attempt, now, dispatch) : given;
  if (isTerminal(state.status)) {
    throw new SextantError('job_terminal', `the job has ${state.status}`);
  }
  if (state.status === 'running') {
    throw new SextantError('job_busy', 'another attempt is running');
  }
  const { lease_ms } = timing;
  return {
    ...state,
    status: 'running',
    started_at: state.started_at ?? now,
    claims: state.claims + 1,
    charged: state.charged + 1,
    attempt: { number: state.claims + 1, fence, ...by, started_at: now, lease_until: now + lease_ms, lease_ms },
    progress: null,
    error: null,
  };
}

/** Whether this very process asks for what it was given already, by the same dispatch. */
const isRepeated = ({ status, sealed, attempt }: JobState, by: Claimant): boolean =>
  attempt !== null &&
  by.nonce !== undefined &&
  attempt.worker === by.worker &&
  attempt.nonce === by.nonce &&
  attempt.dispatch === by.dispatch &&
  !sealed &&
  (status === 'running' || (status === 'queued' && attempt.lapsed === true));

/** A worker whose process was started anew has nothing of the attempt that the old one held. */
const isRestarted = ({ status, sealed, attempt }: JobState, by: Claimant): boolean =>
  status === 'running' &&
  !sealed &&
  by.nonce !== undefined &&
  attempt?.nonce !== undefined &&
  attempt.worker === by.worker &&
  attempt.nonce !== by.nonce;

/** Whether the caller's lease has run out and nobody else has claimed the job since. */
export const isLapsed = ({ status, attempt }: JobState, fence: string | null, worker: string): boolean =>
  status === 'queued' && attempt?.lapsed === true && attempt.fence === fence && attempt.worker === worker;

/** The attempt whose lease ran out goes on as if it had not; changes nothing else. */
export function takeUp(state: JobState): JobState {
  const { attempt } = state;
  if (state.status !== 'queued' || !attempt?.lapsed) {
    return state;
  }
  const { lapsed: _, ...rest } = attempt;
  const ran = Math.max(0, attempt.lease_until - attempt.started_at);
  return { ...state, status: 'running', ran_ms: Math.max(0, state.ran_ms - ran), attempt: rest, error: null };
}

/** Raises `fence_stale` for every token but that of the last claim, and for that one when it was taken away. */
export function holding(state: JobState, fence: string | null, worker: string): Attempt {
  const { attempt } = state;
  if (!attempt || attempt.fence !== fence || attempt.worker !== worker || state.status === 'queued') {
    throw new SextantError('fence_stale', 'this attempt no longer holds the job');
  }
  return attempt;
}

/** As `holding`, and raises `job_terminal` when the job has ended meanwhile. */
export function holdingAlive(state: JobState, fence: string | null, worker: string): Attempt {
  const attempt = holding(state, fence, worker);
  if (isTerminal(state.status)) {
    throw new SextantError('job_terminal', `the job has ${state.status}`);
  }
  return attempt;
}

export function heartbeat(state: JobState, progress: Progress | null, now: number, { lease_ms }: Timing): JobState {
  if (!state.attempt) {
    return state;
  }
  const { excused: _, ...attempt } = state.attempt;
  return {
    ...state,
    attempt: { ...attempt, lease_until: now + lease_ms, lease_ms },
    progress: progress ?? state.progress,
  };
}
