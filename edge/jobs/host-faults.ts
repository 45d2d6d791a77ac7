/**
 * Faults of workers' own machines, as pure functions: a full disk or a broken installation is not the job's fault, so the
 * attempt is not counted, and the job goes to others. Only after several such attempts does it fail, with the host's code.
 */
import type { JobError } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type Claimant, end, failure, type HostFaults, type JobState, requeue } from './state.ts';

/** So many attempts may end by faults of hosts. */
const MOST_ATTEMPTS = 5;
/** So long a worker does not get a job again that it could not run. */
const REFUSED_MS = 600_000;
/** Pause before the job is handed out again, doubling with each worker that is refused it. */
const PAUSE_MS = 1000;
const PAUSE_LIMIT_MS = 60_000;

const NONE: HostFaults = { attempts: 0, refused: [], passed: 0 };

/** The attempt ended by a fault of its host. With `outgrown` the job needs a worker with more memory than this one has. */
export function hostFault(
  state: JobState,
  error: Omit<JobError, 'attempt'>,
  { now, dispatch, outgrown = false }: { now: number; dispatch: string; outgrown?: boolean },
): JobState {
  const stated = failure(state, error.code, error.detail, error.errors);
  const before = state.hosts ?? NONE;
  const attempts = before.attempts + 1;
  if (attempts >= MOST_ATTEMPTS) {
    const detail = `${attempts} attempts ended by faults of their workers; the last: ${error.detail}`;
    return end(state, 'failed', now, { error: failure(state, error.code, detail, error.errors) });
  }
  const { worker = '', memory_bytes } = state.attempt ?? {};
  const until = now + REFUSED_MS;
  const hosts: HostFaults = {
    attempts,
    refused: [...before.refused.filter((one) => one.until > now && one.worker !== worker), { worker, until }],
    ...(outgrown && memory_bytes !== undefined
      ? { outgrown: { bytes: Math.max(memory_bytes, before.outgrown?.bytes ?? 0), until } }
      : before.outgrown && { outgrown: before.outgrown }),
    passed: 0,
  };
  return {
    ...requeue(state, { at: now, now, pause_ms: PAUSE_MS }, dispatch, stated),
    charged: state.charged - 1,
    hosts,
  };
}

/** Whether this worker is not to have the job at present. */
export function isRefused({ hosts, status }: JobState, { worker, memory_bytes }: Claimant, now: number): boolean {
  if (status !== 'queued' || !hosts) {
    return false;
  }
  const { refused, outgrown } = hosts;
  const small = outgrown !== undefined && outgrown.until > now && (memory_bytes ?? Infinity) <= outgrown.bytes;
  return small || refused.some((one) => one.worker === worker && one.until > now);
}

/** A refused worker has used up the message: the job is handed out again, after a pause that doubles. */
export function passOver(state: JobState, now: number, dispatch: string): JobState {
  const { passed, ...hosts } = state.hosts ?? NONE;
  const pause = Math.min(PAUSE_LIMIT_MS, PAUSE_MS * 2 ** Math.min(passed, 10));
  return {
    ...state,
    dispatch: { id: dispatch, sends: 0, next_send_at: now + pause },
    hosts: { ...hosts, passed: passed + 1 },
  };
}

export const refusal = (): SextantError =>
  new SextantError('worker_refused', 'this worker could not run the job a short time ago; another is to have it');
