/** A request that is a job underneath: created under its key or without one, and followed, waited for, or left to itself. */
import type { Context } from 'hono';
import type { Job } from '../../shared/contracts/job.ts';
import { isTerminal } from '../../shared/contracts/job.ts';
import { relocated, SextantError } from '../../shared/contracts/problem.ts';
import type { AppEnv } from '../environment.ts';
import { traceOf } from '../http/envelope.ts';
import { preferredWait } from '../http/prefer.ts';
import { createOnce, type Following } from '../jobs/creation.ts';
import { viewJob } from '../jobs/waiting.ts';

/** Seconds that a request for something quick waits without a `Prefer`. */
export const UNASKED_WAIT_S = 60;

/** Creates the job that a request asks for and names it in the answer's headers. `body` is as `POST /v1/jobs` takes it. */
export async function placeRequest(c: Context<AppEnv>, body: unknown, following?: Following): Promise<string> {
  const { id, replayed } = await createOnce(c.env, c.get('key'), {
    idempotencyKey: c.req.header('idempotency-key'),
    required: false,
    path: c.req.path,
    raw: c.get('body'),
    body,
    following,
    request_id: c.get('requestId'),
    trace: traceOf(c),
  }).catch((error: unknown) => {
    // places in the params of the job are places in the request
    throw error instanceof SextantError ? relocated(error, (at) => at.replace(/^\/params(?=\/|$)/, '')) : error;
  });
  if (replayed) {
    c.header('idempotency-replayed', 'true');
  }
  c.header('location', `/v1/jobs/${id}`);
  c.header('cache-control', 'no-store');
  return id;
}

/**
 * The job, ended within the seconds that `Prefer: wait=n` allows.
 * @param unasked seconds to wait where the header says nothing; null: not at all
 */
export async function answerOf(
  c: Context<AppEnv>,
  id: string,
  unasked: number | null,
): Promise<{ job: Job; status: 200 | 202 }> {
  const asked = preferredWait(c.req.header('prefer') ?? null);
  if (asked !== null) {
    c.header('preference-applied', `wait=${asked}`);
  }
  const wait = asked ?? unasked;
  const job = await viewJob(c.env, c.get('key').tenant, id, wait);
  return { job, status: wait !== null && isTerminal(job.status) ? 200 : 202 };
}
