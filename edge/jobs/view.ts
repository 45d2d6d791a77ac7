/** What the public sees of a job's state. */
import type { Job } from '../../shared/contracts/job.ts';
import { isTerminal } from '../../shared/contracts/job.ts';
import { traceIdOf } from '../../shared/signing/traceparent.ts';
import type { JobState } from './state.ts';

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export const expiresAt = (state: JobState): number | null =>
  state.ended_at === null ? null : state.ended_at + state.retention_ms;

export const jobView = (state: JobState): Job => ({
  id: state.id,
  type: state.type,
  status: state.status,
  created_at: new Date(state.created_at).toISOString(),
  started_at: time(state.started_at),
  ended_at: time(state.ended_at),
  expires_at: time(expiresAt(state)),
  input_digest: state.input_digest,
  attempt: state.claims,
  progress: state.progress,
  error: state.error,
  result: state.outcome?.result ?? null,
  metrics: state.outcome?.metrics ?? null,
  cost: {
    unit: 'device_second',
    estimate: state.estimate_s,
    actual: isTerminal(state.status) ? state.ran_ms / 1000 : null,
  },
  run: state.outcome?.run ?? null,
  artefacts: [...(state.outcome?.artefacts ?? [])],
  published: [...(state.outcome?.published ?? [])],
  labels: { ...state.labels },
  trace_id: state.trace ? traceIdOf(state.trace) : null,
  resumed_from: state.resumed_from ?? null,
  queue: null,
});

/** Body of the webhook, thin: the receiver asks the API for the rest. */
export const eventBody = (state: JobState, at: string): string =>
  JSON.stringify({
    type: `job.${state.status}`,
    timestamp: at,
    data: { id: state.id, status: state.status, result_digest: state.outcome?.result_digest ?? null },
  });
