import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyAndPromote } from '../../../edge/artefacts/promotion.ts';
import { identifyResults, publishStatements } from '../../../edge/published/index-rows.ts';
import {
  LATENT_INDEX_BLOB,
  LATENT_SORTS,
  type Latent,
  type LatentIndex,
  latentShardBlob,
} from '../../../shared/contracts/latent.ts';
import { newClient } from '../support/client.ts';
import { announce, newArea, stage } from '../support/staging.ts';

const columns = {
  positive: [0.1, 0.2, 0, 0.3, 0.05],
  negative: [0.1, 0, 0, 0.01, 0.2],
  maximum: [3, 5, 0, 1, 2],
  minimum: [-4, 0, 0, -1, -9],
};
const index: LatentIndex = { count: 5, shard: 2, tokens: 1000, columns };
const latent = (n: number): Latent => ({
  latent: n,
  density: { positive: columns.positive[n]!, negative: columns.negative[n]! },
  maximum: columns.maximum[n]!,
  minimum: columns.minimum[n]!,
  mean_magnitude: 1,
  contexts: { positive: [{ at: 0, tokens: [{ text: `word ${n}`, code: 2 }] }], negative: [] },
  promotes: [{ text: 'a', logit: 1 }],
  suppresses: [],
  nearest: [{ latent: 0, cosine: -0.5 }],
  histogram: { low: 0, high: 1, counts: [1] },
});

describe('the latents of an SAE', () => {
  const tenant = 'latents';
  let id: string;
  let plain: string;
  let second: string;
  let client: Awaited<ReturnType<typeof newClient>>;

  beforeAll(async () => {
    const area = newArea(tenant);
    const contents: [string, unknown][] = [
      [LATENT_INDEX_BLOB, index],
      ...[0, 1, 2].map((s): [string, unknown] => [
        latentShardBlob(s),
        [2 * s, 2 * s + 1].filter((n) => n < 5).map(latent),
      ]),
    ];
    const artefacts = [];
    for (const [n, [name, value]] of contents.entries()) {
      const text = JSON.stringify(value);
      artefacts.push({ ...(await announce(n, text)), name });
      await stage(area, n, text);
    }
    await verifyAndPromote(env, { ...area, artefacts });
    const blobs = artefacts.map(({ n: _, ...blob }) => blob);
    const manifest = {
      kind: 'sae' as const,
      schema: 1 as const,
      method: 'abstopk',
      params: {},
      seed: 0,
      model: null,
      model_digest: null,
      hook: 'resid_post.0',
      data_digest: null,
      blobs,
      body: {},
    };
    const published = await identifyResults(env, tenant, [
      manifest,
      { ...manifest, blobs: [] },
      { ...manifest, seed: 1 },
    ]);
    [id, plain, second] = published.map((result) => result.id) as [string, string, string];
    await env.DB.batch(publishStatements(env, { tenant, job: null, published, created: 1 }));
    client = await newClient({ tenant });
  });

  const order = async (query: string) => {
    const response = await client.call('GET', `/v1/saes/${id}/latents${query}`);
    expect(response.status).toBe(200);
    return response.json() as Promise<{ data: { latent: number }[]; next_cursor: string | null }>;
  };

  it('are listed by number or by a quantity that does not depend on the sign of a latent', async () => {
    const numbers = async (sort: string) => (await order(`?sort=${sort}`)).data.map((row) => row.latent);
    expect(await numbers('latent')).toEqual([0, 1, 2, 3, 4]);
    expect(await numbers('density')).toEqual([3, 4, 0, 1, 2]);
    expect(await numbers('minority_share')).toEqual([0, 4, 3, 1, 2]);
    expect(await numbers('magnitude')).toEqual([4, 1, 0, 3, 2]);
  });

  it('come in pages', async () => {
    const first = await order('?sort=magnitude&limit=2');
    expect(first.data.map((row) => row.latent)).toEqual([4, 1]);
    const second = await order(`?sort=magnitude&limit=2&cursor=${first.next_cursor}`);
    expect(second.data.map((row) => row.latent)).toEqual([0, 3]);
    const last = await order(`?sort=magnitude&limit=2&cursor=${second.next_cursor}`);
    expect(last).toMatchObject({ data: [{ latent: 2 }], next_cursor: null });
  });

  it('come whole through pages of any size, in every order', async () => {
    for (const sort of LATENT_SORTS) {
      for (const limit of [1, 2, 3, 4, 5, 6]) {
        const seen: number[] = [];
        let cursor: string | null = '';
        for (let pages = 0; cursor !== null && pages < 9; pages++) {
          const read: Awaited<ReturnType<typeof order>> = await order(
            `?sort=${sort}&limit=${limit}${cursor && `&cursor=${cursor}`}`,
          );
          seen.push(...read.data.map((row) => row.latent));
          cursor = read.next_cursor;
        }
        expect(seen, `${sort} ${limit}`).toEqual((await order(`?sort=${sort}`)).data.map((row) => row.latent));
      }
    }
  });

  it('refuse a cursor of another order or another SAE', async () => {
    const { next_cursor } = await order('?sort=magnitude&limit=2');
    for (const path of [`${id}/latents?sort=density`, `${second}/latents?sort=magnitude`]) {
      const response = await client.call('GET', `/v1/saes/${path}&cursor=${next_cursor}`);
      expect(response.status, path).toBe(400);
      expect(await response.json(), path).toMatchObject({
        code: 'parameter_invalid',
        errors: [{ pointer: '/cursor', code: 'cursor_invalid' }],
      });
    }
  });

  it('are read one by one', async () => {
    for (const n of [0, 3, 4]) {
      const response = await client.call('GET', `/v1/saes/${id}/latents/${n}`);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual(latent(n));
    }
    for (const path of [
      `${id}/latents/5`,
      `${id}/latents/x`,
      `${id}/latents/03`,
      `${id}/latents/3e0`,
      `${id}/latents/0x3`,
      `${plain}/latents`,
      `${plain}/latents/0`,
    ]) {
      expect((await client.call('GET', `/v1/saes/${path}`)).status, path).toBe(404);
    }
  });
});
