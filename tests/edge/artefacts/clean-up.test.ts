import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { blobKey, stagingKey } from '../../../edge/artefacts/addresses.ts';
import { CLEAN_UP_AGE_MS, cleanUp, discardStaging, LAST_UPLOAD_MS } from '../../../edge/artefacts/clean-up.ts';
import { artefactStatements } from '../../../edge/artefacts/index-rows.ts';
import { reserveBlobs, storedBlobs } from '../../../edge/artefacts/ownership.ts';
import { verifyAndPromote } from '../../../edge/artefacts/promotion.ts';
import { presignUploads } from '../../../edge/artefacts/upload.ts';
import { announce, newArea, stage } from '../support/staging.ts';
import { plantVector } from '../support/vector.ts';

/** Promotes `content` at the time `now`; the artefact that holds it, if any, ends at `expires`. */
async function leave(tenant: string, content: string, now: number, expires: number | null | undefined) {
  const area = newArea(tenant);
  const artefact = await announce(0, content);
  await presignUploads(env, { ...area, blobs: [artefact] }, now);
  await stage(area, 0, content);
  const artefacts = await verifyAndPromote(env, { ...area, artefacts: [artefact] }, now);
  if (expires !== undefined) {
    await env.DB.batch(artefactStatements(env, { ...area, artefacts, created: now, expires }));
  }
  const staged = () => env.R2.head(stagingKey(tenant, area.job, 1, 0));
  const blob = () => env.R2.head(blobKey(tenant, artefact.sha256));
  return { area, artefact, staged, blob };
}

describe('the clean-up', () => {
  it('takes what arrives at the address of a deleted artefact once no address counts any more', async () => {
    const start = Date.now();
    const area = newArea('late');
    const artefact = await announce(0, 'sent after the deletion');
    await presignUploads(env, { ...area, blobs: [artefact] }, start);
    await stage(area, 0, 'sent before it');
    const staged = () => env.R2.head(stagingKey('late', area.job, 1, 0));
    await discardStaging(env, 'late', area.job);
    expect(await staged()).toBeNull();
    await stage(area, 0, 'sent after the deletion');
    await discardStaging(env, 'late', area.job);
    await stage(area, 0, 'sent after the second');
    await cleanUp(env, start + LAST_UPLOAD_MS - 1000);
    expect(await staged()).not.toBeNull();
    await cleanUp(env, start + LAST_UPLOAD_MS + 1000);
    expect(await staged()).toBeNull();
  });

  it('removes staging leftovers, expired artefacts and unused blobs, and nothing younger or in use', async () => {
    const start = Date.now();
    const kept = await leave('swept', 'kept for ever', start, null);
    const expiring = await leave('swept', 'for two days', start, start + 2 * CLEAN_UP_AGE_MS);
    const orphan = await leave('swept', 'of a job that never completed', start, undefined);
    const vector = await plantVector('swept');
    const valuesKey = blobKey('swept', vector.manifest.blobs[0]!.sha256);

    await cleanUp(env, start + CLEAN_UP_AGE_MS - 1000);
    for (const upload of [kept, expiring, orphan]) {
      // promotion has removed what was staged; a late repeat of the upload stages it again
      expect(await upload.staged()).toBeNull();
      await stage(upload.area, 0, 'sent once more');
      expect(await upload.blob()).not.toBeNull();
    }
    await cleanUp(env, start + CLEAN_UP_AGE_MS + 60_000);
    for (const upload of [kept, expiring, orphan]) {
      expect(await upload.staged()).toBeNull();
    }
    expect(await orphan.blob()).toBeNull();
    const { results } = await env.DB.prepare('SELECT sha256 FROM deletions').all<{ sha256: string }>();
    expect(results.map(({ sha256 }) => sha256)).toContain(orphan.artefact.sha256);
    expect((await storedBlobs(env, 'swept', [orphan.artefact.sha256])).size).toBe(0);
    expect(await expiring.blob()).not.toBeNull();

    await cleanUp(env, start + 2 * CLEAN_UP_AGE_MS + 60_000);
    expect(await expiring.blob()).toBeNull();
    expect(await kept.blob()).not.toBeNull();
    expect(await env.R2.head(valuesKey)).not.toBeNull();
  });

  it('goes on until nothing is due, and spares the areas that are still in use', async () => {
    const start = Date.now();
    const content = (n: number) => `left behind ${n}`;
    const areas = Array.from({ length: 24 }, (_, n) => newArea(`many-${n % 3}`));
    for (const [n, area] of areas.entries()) {
      await presignUploads(
        env,
        { ...area, blobs: [await announce(0, content(n))] },
        n < 18 ? start : start + CLEAN_UP_AGE_MS,
      );
      await stage(area, 0, content(n));
    }
    const cleaned = await cleanUp(env, start + CLEAN_UP_AGE_MS + 60_000);
    expect(cleaned.areas).toBeGreaterThanOrEqual(18);
    const { objects } = await env.R2.list({ prefix: 't/many-' });
    const inUse = areas.slice(18).map(({ tenant, job }) => `t/${tenant}/staging/${job}/1/0`);
    expect(objects.map(({ key }) => key)).toEqual(inUse.sort());
  });

  it('spares a blob that somebody is about to use again', async () => {
    const start = Date.now();
    const orphan = await leave('touched', 'about to be used', start, undefined);
    const later = start + CLEAN_UP_AGE_MS + 60_000;
    await reserveBlobs(env, 'touched', [orphan.artefact], later);
    await cleanUp(env, later);
    expect(await orphan.blob()).not.toBeNull();
  });

  it('lets nobody rely on a blob that it is deleting', async () => {
    const start = Date.now();
    const orphan = await leave('doomed', 'going', start, undefined);
    await env.DB.prepare("UPDATE blobs SET state = 'doomed' WHERE tenant = 'doomed'").run();
    const [upload] = await presignUploads(env, { ...newArea('doomed'), blobs: [orphan.artefact] });
    expect(upload!.url).not.toBeNull();
    const again = verifyAndPromote(env, { ...orphan.area, artefacts: [orphan.artefact] });
    await expect(again).rejects.toMatchObject({ code: 'unavailable' });
    // a broken run's rows are finished by the next
    await cleanUp(env, start + CLEAN_UP_AGE_MS + 60_000);
    expect(await orphan.blob()).toBeNull();
    await stage(orphan.area, 0, 'going');
    await expect(verifyAndPromote(env, { ...orphan.area, artefacts: [orphan.artefact] })).resolves.toHaveLength(1);
  });

  it('takes an upload that comes after it as what it is: a leftover', async () => {
    const start = Date.now();
    const late = await leave('late', 'first', start, null);
    await cleanUp(env, start + CLEAN_UP_AGE_MS + 60_000);
    await stage(late.area, 0, 'second');
    expect(await (await env.R2.get(blobKey('late', late.artefact.sha256)))!.text()).toBe('first');
  });
});
