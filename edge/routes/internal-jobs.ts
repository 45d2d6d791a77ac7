/** `/internal/jobs/{id}/...`: what a worker calls while it holds a job. Not part of the public contract. */

import { Hono } from 'hono';
import { isTerminal } from '../../shared/contracts/job.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { tokensRequestSchema } from '../../shared/contracts/token-piece.ts';
import {
  type Acceptance,
  type Claim,
  checkpointRequestSchema,
  claimRequestSchema,
  completeRequestSchema,
  failRequestSchema,
  heartbeatRequestSchema,
  releaseRequestSchema,
  type Uploads,
  uploadsRequestSchema,
} from '../../shared/contracts/worker-call.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { presignUploads } from '../artefacts/upload.ts';
import type { App } from '../environment.ts';
import { readJson } from '../http/read-json.ts';
import { unwrap } from '../jobs/answer.ts';
import { checkCheckpoint, openCheckpoint } from '../jobs/checkpoint.ts';
import { checkCompletion } from '../jobs/completion.ts';
import { openInputs } from '../jobs/inputs.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { paramsAddress, readParams } from '../jobs/params.ts';
import { modelStatements } from '../models/known-models.ts';
import { type WorkerEnv, workerAccess } from '../workers/access.ts';
import { checkMessage } from '../workers/message-check.ts';

const accepted = (status: Acceptance['status'], pieces: number): Acceptance => ({
  status,
  promoted: pieces,
  of: pieces,
});

/** A cancellation reaches the computation with a heartbeat: they are frequent, whatever the lease. */
const HEARTBEAT_MS = 1000;

export default function registerInternalJobs(app: App): void {
  const calls = new Hono<WorkerEnv>();
  calls.use('/:id/*', workerAccess);
  calls.use('/:id/*', async (c, next) => {
    if (!randomIdSchema('job').safeParse(c.req.param('id')).success) {
      throw new SextantError('not_found', 'there is no such job');
    }
    await next();
  });

  calls.post('/:id/claim', async (c) => {
    const { worker } = c.get('caller');
    const { dispatch, message, ...process } = readJson(claimRequestSchema, c.get('body'));
    const id = c.req.param('id');
    await checkMessage(c.env, message, { job: id, dispatch });
    const ledger = ledgerOf(c.env, id);
    const claimed = unwrap(await ledger.claim(worker, dispatch, process));
    const by = { worker, fence: claimed.fence };
    try {
      const params = 'inline' in claimed.params ? claimed.params.inline : await readParams(c.env, claimed.tenant, id);
      const inputs = await openInputs(c.env, claimed.tenant, JOB_CONTRACTS[claimed.type]?.inputs(params) ?? []);
      const answer: Claim = {
        fence: claimed.fence,
        attempt: claimed.attempt,
        lease_ms: claimed.lease_ms,
        heartbeat_ms: Math.min(HEARTBEAT_MS, Math.floor(claimed.lease_ms / 3)),
        remaining_s: claimed.remaining_s,
        params_url: 'reference' in claimed.params ? await paramsAddress(c.env, claimed.tenant, id) : null,
        inputs,
        owner: await sha256Hex(`owner ${claimed.tenant}`),
        followed: claimed.followed,
        checkpoint: claimed.checkpoint && (await openCheckpoint(c.env, claimed.tenant, claimed.checkpoint)),
      };
      return c.json(answer);
    } catch (error) {
      // The claim is taken but cannot be served: an input that is gone is the job's end, anything else another try.
      if (error instanceof SextantError && error.code === 'input_not_found') {
        unwrap(
          await ledger.fail(
            by,
            { code: error.code, detail: error.message, errors: error.errors },
            { retryable: false },
          ),
        );
      } else {
        unwrap(await ledger.release(by));
      }
      throw error;
    }
  });

  calls.post('/:id/heartbeat', async (c) => {
    const { progress } = readJson(heartbeatRequestSchema, c.get('body'));
    return c.json(unwrap(await ledgerOf(c.env, c.req.param('id')).heartbeat(c.get('caller'), progress)));
  });

  calls.post('/:id/tokens', async (c) => {
    const { pieces } = readJson(tokensRequestSchema, c.get('body'));
    unwrap(await ledgerOf(c.env, c.req.param('id')).tokens(c.get('caller'), pieces));
    return c.json({});
  });

  calls.post('/:id/uploads', async (c) => {
    const { blobs } = readJson(uploadsRequestSchema, c.get('body'));
    const job = c.req.param('id');
    const { tenant, attempt } = unwrap(await ledgerOf(c.env, job).held(c.get('caller')));
    const answer: Uploads = { uploads: await presignUploads(c.env, { tenant, job, attempt, blobs }) };
    return c.json(answer);
  });

  calls.post('/:id/checkpoint', async (c) => {
    const request = readJson(checkpointRequestSchema, c.get('body'));
    const job = c.req.param('id');
    const ledger = ledgerOf(c.env, job);
    const held = unwrap(await ledger.held(c.get('caller')));
    const checkpoint = await checkCheckpoint(c.env, { ...held, job }, request);
    if ('promoted' in checkpoint) {
      return c.json(checkpoint, 202);
    }
    unwrap(await ledger.checkpoint(c.get('caller'), checkpoint));
    return c.json(accepted('kept', checkpoint.blobs.length));
  });

  calls.post('/:id/complete', async (c) => {
    const request = readJson(completeRequestSchema, c.get('body'));
    const job = c.req.param('id');
    const ledger = ledgerOf(c.env, job);
    const held = unwrap(await ledger.held(c.get('caller')));
    const completion = held.sealed ? null : await checkCompletion(c.env, { ...held, job }, request);
    if (completion && 'promoted' in completion) {
      return c.json(completion, 202);
    }
    const { status } = unwrap(await ledger.complete(c.get('caller'), completion));
    return c.json(accepted(status === 'succeeded' ? status : 'running', request.artefacts.length));
  });

  calls.post('/:id/fail', async (c) => {
    const { error, retryable, host, models } = readJson(failRequestSchema, c.get('body'));
    const ledger = ledgerOf(c.env, c.req.param('id'));
    const { tenant } = unwrap(await ledger.held(c.get('caller')));
    if (models.length > 0) {
      await c.env.DB.batch(modelStatements(c.env, tenant, models, Date.now()));
    }
    const job = unwrap(await ledger.fail(c.get('caller'), error, { retryable, host }));
    return c.json({ status: job.status, ended: isTerminal(job.status) });
  });

  calls.post('/:id/release', async (c) => {
    readJson(releaseRequestSchema, c.get('body'));
    const job = unwrap(await ledgerOf(c.env, c.req.param('id')).release(c.get('caller')));
    return c.json({ status: job.status });
  });

  app.route('/internal/jobs', calls as unknown as App);
}
