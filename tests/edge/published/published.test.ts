import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyAndPromote } from '../../../edge/artefacts/promotion.ts';
import { openInputs } from '../../../edge/jobs/inputs.ts';
import { identifyResults, type NewResult, publishStatements } from '../../../edge/published/index-rows.ts';
import { findPublished } from '../../../edge/published/reading.ts';
import type { Manifest, PublishedKind } from '../../../shared/contracts/manifest.ts';
import { modelDescriptionSchema } from '../../../shared/contracts/model.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { newClient, problemOf } from '../support/client.ts';
import { announce, newArea, stage } from '../support/staging.ts';

const manifest = (kind: PublishedKind, seed: number, more: Partial<Manifest> = {}): Manifest => ({
  kind,
  schema: 1,
  method: 'test',
  params: { pad: 'x'.repeat(more.params ? 0 : 10) },
  seed,
  model: null,
  model_digest: null,
  hook: null,
  data_digest: null,
  blobs: [],
  body: {},
  ...more,
});
const publish = (tenant: string, published: NewResult[], created = Date.now()) =>
  env.DB.batch(publishStatements(env, { tenant, job: `job_${'j'.repeat(26)}`, published, created }));

describe('the publisher', () => {
  it('indexes results of every kind under the digest of their manifest, again without harm', async () => {
    const manifests = (['model', 'sae', 'vector', 'report', 'predictor'] as const).map((kind, i) => manifest(kind, i));
    const published = await identifyResults(env, 'publishes', [...manifests, manifests[0]!]);
    expect(published).toHaveLength(5);
    for (const { id, manifest } of published) {
      expect(id).toBe(await manifestId(manifest));
    }
    await publish('publishes', published, 10);
    await publish('publishes', published, 20);
    const ids = published.map((result) => result.id);
    const found = await findPublished(env, 'publishes', ids);
    expect([...found.keys()].sort()).toEqual([...ids].sort());
    for (const result of found.values()) {
      expect(result.created).toBe(10);
    }
    expect((await findPublished(env, 'stranger', ids)).size).toBe(0);
  });

  it('refuses a manifest whose blobs the tenant does not own', async () => {
    const area = newArea('blobs');
    const artefact = await announce(0, 'weights');
    await stage(area, 0, 'weights');
    const { n: _, ...blob } = artefact;
    const named = () => identifyResults(env, 'blobs', [manifest('sae', 1, { blobs: [blob] })]);
    await expect(named()).rejects.toMatchObject({ code: 'artefact_missing' });
    await verifyAndPromote(env, { ...area, artefacts: [artefact] });
    await expect(named()).resolves.toHaveLength(1);
    await expect(identifyResults(env, 'other', [manifest('sae', 1, { blobs: [blob] })])).rejects.toMatchObject({
      code: 'artefact_missing',
    });
    const wrong = manifest('sae', 1, { blobs: [{ ...blob, bytes: 6 }] });
    await expect(identifyResults(env, 'blobs', [wrong])).rejects.toMatchObject({ code: 'artefact_mismatch' });
  });

  it('takes more than one statement can hold', async () => {
    const big = Array.from({ length: 12 }, (_, i) => manifest('report', i, { params: { pad: 'x'.repeat(200_000) } }));
    const published = await identifyResults(env, 'big', big);
    await publish('big', published);
    expect(
      (
        await findPublished(
          env,
          'big',
          published.map((result) => result.id),
        )
      ).size,
    ).toBe(12);
  });
});

describe('a job’s inputs', () => {
  it('are the tenant’s published results, with addresses of their blobs', async () => {
    const area = newArea('inputs');
    const artefact = await announce(0, 'decoder');
    await stage(area, 0, 'decoder');
    await verifyAndPromote(env, { ...area, artefacts: [artefact] });
    const { n: _, ...blob } = artefact;
    const published = await identifyResults(env, 'inputs', [manifest('sae', 1, { blobs: [blob] })]);
    await publish('inputs', published);
    const [input] = await openInputs(env, 'inputs', [{ id: published[0]!.id, pointer: '/sae' }]);
    expect(input).toMatchObject({ id: published[0]!.id, manifest: { kind: 'sae' } });
    expect(new URL(input!.blobs[0]!.url).pathname).toMatch(new RegExp(`/t/inputs/blob/${artefact.sha256}$`));
    for (const id of [published[0]!.id, `art_${'a'.repeat(26)}`]) {
      await expect(openInputs(env, 'stranger', [{ id, pointer: '/sae' }])).rejects.toMatchObject({
        code: 'input_not_found',
        errors: [{ pointer: '/params/sae', code: 'input_not_found' }],
      });
    }
  });
});

describe('SAEs, reports and models', () => {
  let owner: Awaited<ReturnType<typeof newClient>>;
  let stranger: typeof owner;
  beforeAll(async () => {
    [owner, stranger] = [await newClient(), await newClient()];
  });

  it('are read by id and kind, by their tenant alone', async () => {
    const published = await identifyResults(env, owner.tenant, [
      manifest('sae', 5, { hook: 'resid_post.1', model: 'mdl_x' }),
      manifest('sae', 6, { hook: 'resid_post.2', model: 'mdl_x' }),
      manifest('report', 7),
    ]);
    await publish(owner.tenant, published);
    const [sae, second, report] = published.map((result) => result.id) as [string, string, string];
    expect(await (await owner.call('GET', `/v1/saes/${sae}`)).json()).toMatchObject({ id: sae, hook: 'resid_post.1' });
    const read = await owner.call('GET', `/v1/reports/${report}`);
    expect(await read.json()).toMatchObject({ id: report, seed: 7 });
    expect(read.headers.get('cache-control')).toBe('private, max-age=300');
    for (const path of [`/v1/saes/${sae}`, `/v1/reports/${report}`]) {
      expect((await problemOf(await stranger.call('GET', path))).code).toBe('not_found');
    }
    expect((await owner.call('GET', `/v1/saes/${report}`)).status).toBe(404);
    const listed = async (query: string) =>
      ((await (await owner.call('GET', `/v1/saes${query}`)).json()) as { data: { id: string }[] }).data.map(
        (t) => t.id,
      );
    expect((await listed('')).sort()).toEqual([sae, second].sort());
    expect(await listed('?hook=resid_post.2')).toEqual([second]);
    expect(await listed('?hook=resid_post.2&model=mdl_y')).toEqual([]);
  });

  it('are listed page by page, results of one moment included', async () => {
    const tenant = owner.tenant;
    const published = await identifyResults(
      env,
      tenant,
      [1, 2, 3, 4, 5].map((seed) => manifest('sae', 100 + seed)),
    );
    await publish(tenant, published, 1000);
    const seen: string[] = [];
    let path: string | undefined = '/v1/saes?limit=3';
    while (path) {
      const answer = await owner.call('GET', path);
      seen.push(...((await answer.json()) as { data: { id: string }[] }).data.map((t) => t.id));
      path = /<(.*)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    expect(new Set(seen).size).toBe(seen.length);
    for (const { id } of published) {
      expect(seen).toContain(id);
    }
  });

  it('describes models by key, URL-encoded', async () => {
    const description = modelDescriptionSchema.parse({
      key: 'hub:huggingface:openai/gpt2@abc',
      family: 'gpt2',
      revision: 'abc',
      digest: 'ab'.repeat(32),
      layers: 2,
      heads: 2,
      width: 8,
      vocabulary: 10,
      context: 16,
      parameters: 1000,
      hooks: ['resid_post.0', 'resid_post.1'],
    });
    await env.DB.prepare('INSERT INTO models (tenant, key, description, seen_at) VALUES (?, ?, ?, ?)')
      .bind(owner.tenant, description.key, JSON.stringify(description), 5)
      .run();
    const path = `/v1/models/${encodeURIComponent(description.key)}`;
    expect(await (await owner.call('GET', path)).json()).toMatchObject({ family: 'gpt2', layers: 2 });
    expect((await problemOf(await stranger.call('GET', path))).code).toBe('not_found');
    const { data } = (await (await owner.call('GET', '/v1/models')).json()) as { data: { key: string }[] };
    expect(data.map((model) => model.key)).toEqual([description.key]);
  });
});
