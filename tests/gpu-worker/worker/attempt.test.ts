/** An attempt whose computation is the test's own: what it does with a checkpoint that the edge does not take. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Attempt } from '../../../gpu-worker/worker/attempt.ts';
import { Computation, type Outlets } from '../../../gpu-worker/worker/computation.ts';
import type { WrittenCheckpoint } from '../../../gpu-worker/worker/computation-messages.ts';
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
  const trace = newTraceparent();
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
  const attempt = new Attempt(configuration, edge, order, {
    log: (event, fields) => logged.push([event, fields]),
    computations,
  });
  await expect(attempt.run(new AbortController().signal)).resolves.toBe('completed');
  expect(kept).toEqual([false, false, true]);
  expect(posts).toEqual(['uploads', 'checkpoint', 'uploads', 'uploads', 'checkpoint', 'complete']);
  const lines = logged.filter(([event]) => event === 'checkpoint not kept').map(([, fields]) => fields);
  expect(lines).toEqual([
    { trace, job, attempt: 2, reason: expect.stringContaining('no room') },
    { trace, job, attempt: 2, reason: expect.stringContaining("the bytes of 'part' are no longer kept") },
  ]);
});
