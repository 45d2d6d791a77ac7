/** The bytes of a checkpoint: believed only as what they are, shown to nobody, kept while the job lives. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { blobKey } from '../../../edge/artefacts/addresses.ts';
import { CLEAN_UP_AGE_MS, cleanUp } from '../../../edge/artefacts/clean-up.ts';
import { checkCheckpoint, holdBlobs, openCheckpoint } from '../../../edge/jobs/checkpoint.ts';
import { CHECKPOINT_STATE_LIMIT, checkpointRequestSchema } from '../../../shared/contracts/worker-call.ts';
import { newClient } from '../support/client.ts';
import { announce, newArea, stage } from '../support/staging.ts';

const heldOf = (area: ReturnType<typeof newArea>) => ({
  ...area,
  type: 'activations.extract',
  input_digest: 'a'.repeat(64),
  sealed: false,
});

describe('the blobs of a checkpoint', () => {
  it('are promoted from the attempt that announces them, and are no artefacts', async () => {
    const client = await newClient();
    const area = newArea(client.tenant);
    const blob = await announce(0, 'a finished shard');
    await stage(area, 0, 'a finished shard');
    const checkpoint = await checkCheckpoint(env, heldOf(area), { state: { tokens: 3 }, blobs: [blob] });
    const { n: _n, ...plain } = blob;
    expect(checkpoint).toEqual({ state: { tokens: 3 }, blobs: [plain] });
    const listed = (await (await client.call('GET', '/v1/artefacts')).json()) as { data: unknown[] };
    expect(listed.data).toEqual([]);
    const opened = await openCheckpoint(env, client.tenant, { state: { tokens: 3 }, blobs: [plain] });
    expect(new URL(opened!.blobs[0]!.url).pathname).toContain(blobKey(client.tenant, blob.sha256));
    // The next attempt names them again without having staged them.
    const later = { ...heldOf(area), attempt: 2 };
    expect(await checkCheckpoint(env, later, { state: { tokens: 4 }, blobs: [{ ...blob, n: 7 }] })).toMatchObject({
      blobs: [plain],
    });
  });

  it('are refused where other bytes lie in staging, or none', async () => {
    const area = newArea('checkpoint-lies');
    const blob = await announce(0, 'what was announced');
    const check = () => checkCheckpoint(env, heldOf(area), { state: {}, blobs: [blob] });
    await expect(check()).rejects.toMatchObject({ code: 'artefact_missing' });
    await stage(area, 0, 'what was announceD');
    await expect(check()).rejects.toMatchObject({ code: 'artefact_mismatch' });
    // Another attempt's bytes are not looked at.
    await stage({ ...area, attempt: 2 }, 0, 'what was announced');
    await expect(check()).rejects.toMatchObject({ code: 'artefact_mismatch' });
  });

  it('outlive the clean-up while the job holds them, and no longer', async () => {
    const area = newArea('checkpoint-clean-up');
    const blob = await announce(0, 'held by a job');
    await stage(area, 0, 'held by a job');
    await checkCheckpoint(env, heldOf(area), { state: {}, blobs: [blob] });
    const of = { tenant: area.tenant, id: area.job };
    await holdBlobs(env, of, [blob.sha256]);
    const there = async () => (await env.R2.head(blobKey(area.tenant, blob.sha256))) !== null;
    const later = Date.now() + CLEAN_UP_AGE_MS + 60_000;
    await cleanUp(env, later);
    expect(await there()).toBe(true);
    await holdBlobs(env, of, []);
    await cleanUp(env, later);
    expect(await there()).toBe(false);
  });
});

describe('the state of a checkpoint', () => {
  it('is bounded', () => {
    const sized = (length: number) =>
      checkpointRequestSchema.safeParse({ state: { x: 'a'.repeat(length - 8) }, blobs: [] }).success;
    expect(sized(CHECKPOINT_STATE_LIMIT)).toBe(true);
    expect(sized(CHECKPOINT_STATE_LIMIT + 1)).toBe(false);
  });
});
