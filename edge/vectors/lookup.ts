/**
 * Finding vectors: isolate memory, then KV, then R2 by way of the index in D1. Every key names the owner, so a tenant's
 * lookup reaches its own vectors and the public tenant's and no others.
 */

import { blobKey } from '../artefacts/addresses.ts';
import { type Env, PUBLIC_TENANT } from '../environment.ts';
import { findPublished, type PublishedResult } from '../published/reading.ts';
import { RECHECK_MS, type Remembered, VectorMemory } from './memory.ts';
import { packRecord, recordOf, unpackRecord, type VectorRecord, valuesBlob } from './record.ts';
import { type Representation, represent, type Tier } from './representation.ts';
import { SELECTION_KEYS, type Selection } from './selection.ts';

type Found = { representation: Representation; tier: Tier };
/** The part of an ExecutionContext that is needed here. */
type Background = { waitUntil(promise: Promise<unknown>): void };

const memory = new VectorMemory();
const memoryKey = (owner: string, id: string, selectionKey: string): string => `${owner}/${id}/${selectionKey}`;
/** Where a tenant's vectors lie in KV. */
export const kvPrefix = (owner: string): string => `vector/${owner}/`;
const kvKey = (owner: string, id: string): string => `${kvPrefix(owner)}${id}`;
type Owned = { owner: string; id: string };

const entryFor = (tenant: string, id: string, { key }: Selection): Remembered | undefined =>
  memory.get(memoryKey(tenant, id, key)) ?? memory.get(memoryKey(PUBLIC_TENANT, id, key));

/** A memory hit that needs no recheck: the whole of what the fast path asks. */
export function remembered(tenant: string, id: string, selection: Selection, now: number): Representation | undefined {
  const entry = entryFor(tenant, id, selection);
  return entry !== undefined && now - entry.checked < RECHECK_MS ? entry.representation : undefined;
}

/** Looks `ids` up for `tenant`; what is not found is absent from the answer. */
export async function lookUp(
  env: Env,
  background: Background,
  tenant: string,
  ids: readonly string[],
  selection: Selection,
  now: number,
): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  const stale = ids.flatMap((id): Owned[] => {
    const entry = entryFor(tenant, id, selection);
    return entry !== undefined && now - entry.checked >= RECHECK_MS ? [{ owner: entry.representation.owner, id }] : [];
  });
  await recheck(env, stale, now);
  for (const id of ids) {
    const representation = remembered(tenant, id, selection, now);
    if (representation) {
      found.set(id, { representation, tier: 'memory' });
    }
  }
  const inKv: Owned[] = [];
  await Promise.all(
    ids.map(async (id) => {
      if (found.has(id)) {
        return;
      }
      const record = await fromKv(env, tenant, id);
      if (!record) {
        return;
      }
      inKv.push({ owner: record.owner, id });
      found.set(id, { representation: await keep(record, selection, now), tier: 'kv' });
    }),
  );
  // KV forgets a deleted vector only after a while: ask the index too, but answer first
  if (inKv.length > 0) {
    background.waitUntil(recheck(env, inKv, now));
  }
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length === 0) {
    return found;
  }
  const published = await findPublished(env, tenant, missing);
  await Promise.all(
    missing.map(async (id) => {
      const result = published.get(id);
      const record = result?.manifest.kind === 'vector' ? await fromR2(env, result) : null;
      if (!record) {
        return;
      }
      background.waitUntil(env.KV.put(kvKey(record.owner, id), packRecord(record)));
      found.set(id, { representation: await keep(record, selection, now), tier: 'r2' });
    }),
  );
  return found;
}

/** Asks the index whether these vectors still exist, and forgets those that do not. */
async function recheck(env: Env, vectors: readonly Owned[], now: number): Promise<void> {
  if (vectors.length === 0) {
    return;
  }
  const { results } = await env.DB.prepare(
    `SELECT tenant AS owner, id FROM published
     WHERE (tenant, id) IN (SELECT value ->> 'owner', value ->> 'id' FROM json_each(?))`,
  )
    .bind(JSON.stringify(vectors))
    .all<Owned>();
  const existing = new Set(results.map(({ owner, id }) => `${owner}/${id}`));
  await Promise.all(
    vectors.map(async ({ owner, id }) => {
      if (!existing.has(`${owner}/${id}`)) {
        return forgetVector(env, owner, id);
      }
      for (const key of SELECTION_KEYS) {
        memory.confirm(memoryKey(owner, id, key), now);
      }
    }),
  );
}

/** Drops a vector from this isolate's memory and from KV; other isolates follow within RECHECK_MS. */
export async function forgetVector(env: Env, owner: string, id: string): Promise<void> {
  for (const key of SELECTION_KEYS) {
    memory.delete(memoryKey(owner, id, key));
  }
  await env.KV.delete(kvKey(owner, id));
}

/** The tenant's own first: reads are paid for, and most look-ups are of one's own vectors. */
async function fromKv(env: Env, tenant: string, id: string): Promise<VectorRecord | null> {
  for (const owner of tenant === PUBLIC_TENANT ? [tenant] : [tenant, PUBLIC_TENANT]) {
    const packed = await env.KV.get(kvKey(owner, id), 'arrayBuffer');
    if (packed) {
      return unpackRecord(owner, packed);
    }
  }
  return null;
}

async function fromR2(env: Env, result: PublishedResult): Promise<VectorRecord | null> {
  const object = await env.R2.get(blobKey(result.tenant, valuesBlob(result).sha256));
  return object && recordOf(result, new Uint8Array(await object.arrayBuffer()));
}

async function keep(record: VectorRecord, selection: Selection, now: number): Promise<Representation> {
  const representation = await represent(record, selection);
  memory.set(memoryKey(record.owner, record.description.id, selection.key), representation, now);
  return representation;
}
