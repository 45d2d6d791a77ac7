/** An attempt whose computation is the test's own: what becomes of its checkpoints, and of the job when the worker is told to stop. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Attempt } from '../../../gpu-worker/worker/attempt.ts';
import { Computation, type Outlets } from '../../../gpu-worker/worker/computation.ts';
import type { Urgency, WrittenCheckpoint } from '../../../gpu-worker/worker/computation-messages.ts';
import type { EdgeCalls } from '../../../gpu-worker/worker/edge-calls.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { EDGE_ISSUER, WORKER_AUDIENCE } from '../../../shared/contracts/worker-call.ts';
import { inputDigest, randomId } from '../../../shared/signing/digest.ts';
import { newTraceparent } from '../../../shared/signing/traceparent.ts';
import { newSigningKey } from '../../support/signing-key.ts';

const data = mkdtempSync(join(tmpdir(), 'sextant-attempt-'));
afterAll(() => rmSync(data, { recursive: true }));

/** Answers of the attempt to the checkpoints that the computation offered. */
const kept: boolean[] = [];
const offered: WrittenCheckpoint[] = [];
/** A computation that offers every checkpoint, and is done whatever became of them. */
const computations = {
  start(_order: unknown, outlets: Outlets): Computation {
    const computation = new Computation(outlets, { tell: () => {}, kill: () => {}, shared: () => false });
    void (async () => {
      for (const checkpoint of offered) {
        kept.push(await outlets.keep(checkpoint));
      }
      const run = {
        device: 'cpu',
        dtype: 'none',
        seed: null,
        tolerance: null,
        versions: {},
        wall_s: 0,
        peak_rss_bytes: 0,
        quantised_models: [],
      };
      const written = { result: {}, metrics: {}, published: [], run, artefacts: [] };
      computation.heard({ kind: 'done', written, clean: true });
    })();
    return computation;
  },
};

const trace = newTraceparent();
type Surroundings = { edge: EdgeCalls } & ConstructorParameters<typeof Attempt>[3];
/** The second attempt of a job that has saved nothing. */
async function attemptOf(job: string, { edge, ...around }: Surroundings): Promise<Attempt> {
  const configuration = {
    edge_url: '',
    queue: { api_base: '', account: 'a', id: 'q', token: 't', poll_ms: 50, visibility_ms: 60_000 },
    key_file: '',
    key: await newSigningKey(randomId('wkr')),
    device: 'cpu' as const,
    threads: 1,
    allow_ablated_models: false,
    memory_limit_bytes: 1e9,
    stall_limit_s: 60,
    data,
    models: {},
    corpora: {},
    hubs: {},
  };
  const claim = {
    attempt: 2,
    fence: 'f',
    lease_ms: 60_000,
    heartbeat_ms: 60_000,
    remaining_s: 60,
    params_url: null,
    inputs: [],
    followed: false,
    checkpoint: null,
  };
  const input_digest = await inputDigest('diagnostics.run', 1, {});
  const terms = { iss: EDGE_ISSUER, aud: WORKER_AUDIENCE, iat: 0, exp: 1, jti: randomId('dsp') } as const;
  const message = { ...terms, sub: job, type: 'diagnostics.run', input_digest, params: {} };
  const order = { message, claim, trace };
  return new Attempt(configuration, edge, order, around);
}

it('goes on without a checkpoint that it does not have any more or that is refused, and logs why', async () => {
  const file = join(data, 'part');
  writeFileSync(file, 'x');
  const blob = { name: 'part', media_type: 'application/octet-stream', bytes: 1, sha256: 'a'.repeat(64) };
  const checkpoint = (file: string | null): WrittenCheckpoint => ({ state: {}, blobs: [{ ...blob, file }] });
  offered.push(checkpoint(file), checkpoint(null), checkpoint(file));
  const job = randomId('job');
  const posts: string[] = [];
  let refuse = true;
  const edge = {
    post: async (path: string) => {
      posts.push(path.slice(path.lastIndexOf('/') + 1));
      if (path.endsWith('/uploads')) {
        // Bytes that the computation no longer has are asked for; those that it has lie at the edge already.
        return { uploads: [{ n: 0, url: posts.length === 3 ? 'http://127.0.0.1:1/' : null }] };
      }
      if (path.endsWith('/checkpoint') && refuse) {
        refuse = false;
        throw new SextantError('validation_failed', 'no room');
      }
      return { status: 'succeeded', promoted: 0, of: 0 };
    },
  } as unknown as EdgeCalls;
  const logged: [string, Record<string, unknown>][] = [];
  const attempt = await attemptOf(job, { edge, computations, log: (event, fields) => logged.push([event, fields]) });
  await expect(attempt.run(new AbortController().signal)).resolves.toBe('completed');
  expect(kept).toEqual([false, false, true]);
  expect(posts).toEqual(['uploads', 'checkpoint', 'uploads', 'uploads', 'checkpoint', 'complete']);
  const lines = logged.filter(([event]) => event === 'checkpoint not kept').map(([, fields]) => fields);
  expect(lines).toEqual([
    { trace, job, attempt: 2, reason: expect.stringContaining('no room') },
    { trace, job, attempt: 2, reason: expect.stringContaining("the bytes of 'part' are no longer kept") },
  ]);
});

describe('told to stop', () => {
  /** A computation that saves once at its start, if it `saves`, and again when it is asked to; what happened, in order. */
  async function stopped({ saves }: { saves: boolean }): Promise<{ end: string; happened: string[] }> {
    const happened: string[] = [];
    const shutdown = new AbortController();
    const arrived = Promise.withResolvers<void>();
    const edge = {
      post: async (path: string, { state }: { state?: { step: number } }) => {
        happened.push(path.slice(path.lastIndexOf('/') + 1) + (state ? ` ${state.step}` : ''));
        if (state?.step === 1) {
          // on its way when the signal comes
          shutdown.abort();
          await arrived.promise;
        }
        return { status: path.endsWith('/release') ? 'queued' : 'running' };
      },
    } as unknown as EdgeCalls;
    const computations = {
      start(_order: unknown, outlets: Outlets): Computation {
        const computation: Computation = new Computation(outlets, {
          tell: (message: { kind: string } | Urgency) => {
            happened.push(message.kind);
            if (message.kind === 'urgent') {
              arrived.resolve();
              computation.heard({ kind: 'checkpoint', number: 2, checkpoint: { state: { step: 2 }, blobs: [] } });
            }
          },
          kill: () => {
            happened.push('kill');
            computation.processEnded('killed', { displaced: false, started: true });
          },
          shared: () => false,
        });
        if (saves) {
          computation.heard({ kind: 'checkpoint', number: 1, checkpoint: { state: { step: 1 }, blobs: [] } });
        } else {
          setImmediate(() => shutdown.abort());
        }
        return computation;
      },
    };
    const attempt = await attemptOf(randomId('job'), { edge, computations, log: () => {} });
    return { end: await attempt.run(shutdown.signal), happened };
  }

  it('asks for one more checkpoint than what is on its way, and gives the job back when the edge has it', async () => {
    const { end, happened } = await stopped({ saves: true });
    expect(end).toBe('released');
    expect(happened.filter((what) => what !== 'checkpoint')).toEqual([
      'checkpoint 1',
      'urgent',
      'checkpoint 2',
      'kill',
      'release',
    ]);
  });

  it('gives a job that saves nothing back at once', async () => {
    expect(await stopped({ saves: false })).toEqual({ end: 'released', happened: ['kill', 'release'] });
  });
});
