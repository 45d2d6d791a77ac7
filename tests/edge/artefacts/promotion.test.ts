import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { blobKey, stagingKey } from '../../../edge/artefacts/addresses.ts';
import { storedBlobs } from '../../../edge/artefacts/ownership.ts';
import { inspect, promote, promoteUploads, verifyAndPromote } from '../../../edge/artefacts/promotion.ts';
import { presignUploads } from '../../../edge/artefacts/upload.ts';
import { SHARD_LIMIT } from '../../../shared/contracts/worker-call.ts';
import { announce, newArea, stage } from '../support/staging.ts';

const blobText = async (tenant: string, sha256: string): Promise<string | undefined> =>
  (await env.R2.get(blobKey(tenant, sha256)))?.text();

describe('promotion', () => {
  it('moves checked bytes to their digest and names each artefact', async () => {
    const area = newArea('promotes');
    const artefacts = [await announce(0, 'first'), await announce(1, 'second'), await announce(2, 'first')];
    await stage(area, 0, 'first');
    await stage(area, 1, 'second');
    const rows = await verifyAndPromote(env, { ...area, artefacts });
    expect(rows.map((row) => row.name)).toEqual(['part-0', 'part-1', 'part-2']);
    expect(new Set(rows.map((row) => row.id)).size).toBe(3);
    expect(await blobText(area.tenant, artefacts[1]!.sha256)).toBe('second');
    expect((await storedBlobs(env, area.tenant, [artefacts[0]!.sha256])).get(artefacts[0]!.sha256)).toBe(5);
  });

  it('goes piece by piece, credits what it has done, removes what was staged and goes on from there', async () => {
    const area = newArea('pieces');
    const artefacts = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => announce(n, `piece ${n}`)));
    for (const { n } of artefacts) {
      await stage(area, n, `piece ${n}`);
    }
    const staged = async () => (await env.R2.list({ prefix: `t/pieces/staging/${area.job}/` })).objects.length;
    const lefts: number[] = [];
    for (let calls = 0; calls < 10 && lefts.at(-1) !== 0; calls += 1) {
      const { left, of } = await promoteUploads(env, { ...area, artefacts }, { patience_ms: 0 });
      expect(of).toBe(6);
      expect(
        (
          await storedBlobs(
            env,
            area.tenant,
            artefacts.map(({ sha256 }) => sha256),
          )
        ).size,
      ).toBe(6 - left);
      expect(await staged()).toBe(left);
      lefts.push(left);
    }
    expect(lefts).toEqual([5, 4, 3, 2, 1, 0]);
    await expect(verifyAndPromote(env, { ...area, artefacts })).resolves.toHaveLength(6);
  });

  it('refuses what was not uploaded, cut short, or is something else of the same length', async () => {
    const area = newArea('refuses');
    const artefact = await announce(0, 'the announced bytes');
    const attempt = () => verifyAndPromote(env, { ...area, artefacts: [artefact] });
    await expect(attempt()).rejects.toMatchObject({ code: 'artefact_missing' });
    await stage(area, 0, 'the announced');
    await expect(attempt()).rejects.toMatchObject({ code: 'artefact_mismatch' });
    await stage(area, 0, 'the announced bytez');
    await expect(attempt()).rejects.toMatchObject({ code: 'artefact_mismatch' });
    expect(await blobText(area.tenant, artefact.sha256)).toBeUndefined();
    expect((await storedBlobs(env, area.tenant, [artefact.sha256])).size).toBe(0);
    await stage(area, 0, 'the announced bytes');
    await expect(attempt()).resolves.toHaveLength(1);
  });

  it('promotes exactly the version it looked at', async () => {
    const area = newArea('overwrites');
    const artefact = await announce(0, 'honest bytes');
    const key = stagingKey(area.tenant, area.job, area.attempt, 0);
    await stage(area, 0, 'honest bytes');
    const inspected = await inspect(env, key, artefact);
    await stage(area, 0, 'forged bytes');
    await expect(promote(env, inspected, area.tenant)).rejects.toMatchObject({ code: 'artefact_mismatch' });
    expect(await blobText(area.tenant, artefact.sha256)).toBeUndefined();
  });

  it('never overwrites a blob, and takes a repeated completion as done', async () => {
    const area = newArea('repeats');
    const artefact = await announce(0, 'once');
    await stage(area, 0, 'once');
    await verifyAndPromote(env, { ...area, artefacts: [artefact] });
    const before = await env.R2.head(blobKey(area.tenant, artefact.sha256));
    await stage(area, 0, 'else');
    await verifyAndPromote(env, { ...area, artefacts: [artefact] });
    const after = await env.R2.head(blobKey(area.tenant, artefact.sha256));
    expect(after!.version).toBe(before!.version);
    expect(await blobText(area.tenant, artefact.sha256)).toBe('once');
  });

  it('never looks at what a stale attempt uploads late', async () => {
    const stale = newArea('stale', 1);
    const current = { ...stale, attempt: 2 };
    const artefact = await announce(0, 'result');
    await stage(stale, 0, 'result');
    await expect(verifyAndPromote(env, { ...current, artefacts: [artefact] })).rejects.toMatchObject({
      code: 'artefact_missing',
    });
    await stage(current, 0, 'result');
    await verifyAndPromote(env, { ...current, artefacts: [artefact] });
    await stage(stale, 0, 'later');
    expect(await blobText(current.tenant, artefact.sha256)).toBe('result');
  });

  it('takes no shard beyond the limit, whatever was announced for its upload', async () => {
    const artefact = { ...(await announce(0, 'small')), bytes: SHARD_LIMIT + 1 };
    await expect(verifyAndPromote(env, { ...newArea('huge'), artefacts: [artefact] })).rejects.toMatchObject({
      code: 'artefact_mismatch',
    });
  });

  it('takes one size for one digest', async () => {
    const area = newArea('sizes');
    const honest = await announce(0, 'sized');
    await stage(area, 0, 'sized');
    const lie = { ...honest, n: 1, bytes: 6 };
    await expect(verifyAndPromote(env, { ...area, artefacts: [honest, lie] })).rejects.toMatchObject({
      code: 'artefact_mismatch',
    });
    await verifyAndPromote(env, { ...area, artefacts: [honest] });
    await expect(verifyAndPromote(env, { ...area, artefacts: [lie] })).rejects.toMatchObject({
      code: 'artefact_mismatch',
    });
  });
});

describe('upload addresses', () => {
  it('are numbered within the attempt, over several calls', async () => {
    const area = newArea('numbers');
    const blobs = [await announce(0, 'a'), await announce(0, 'b')];
    const first = await presignUploads(env, { ...area, blobs });
    const second = await presignUploads(env, { ...area, blobs });
    expect([...first, ...second].map((upload) => upload.n)).toEqual([0, 1, 2, 3]);
    for (const { n, url } of second) {
      expect(new URL(url!).pathname.endsWith(`/${stagingKey(area.tenant, area.job, 1, n)}`)).toBe(true);
      expect(new URL(url!).searchParams.get('X-Amz-Expires')).toBe('3600');
    }
  });

  it('spare bytes that the tenant owns, never bytes that another tenant owns', async () => {
    const owner = newArea('owner');
    const artefact = await announce(0, 'owned bytes');
    await stage(owner, 0, 'owned bytes');
    await verifyAndPromote(env, { ...owner, artefacts: [artefact] });
    const [spared] = await presignUploads(env, { ...newArea('owner'), blobs: [artefact] });
    expect(spared!.url).toBeNull();
    const [needed] = await presignUploads(env, { ...newArea('stranger'), blobs: [artefact] });
    expect(needed!.url).not.toBeNull();
    await expect(verifyAndPromote(env, { ...newArea('stranger'), artefacts: [artefact] })).rejects.toMatchObject({
      code: 'artefact_missing',
    });
  });
});
