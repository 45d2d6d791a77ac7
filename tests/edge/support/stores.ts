/** Looks through everything that the edge keeps: D1, R2, KV, and the storage of every Durable Object. */
import { listDurableObjectIds, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

type Found = { where: string; text: string };
const tablesOf = (rows: Iterable<Record<string, unknown>>): string[] =>
  [...rows].map(({ name }) => String(name)).filter((name) => !name.startsWith('_cf_') && !name.startsWith('sqlite_'));
const LIST = "SELECT name FROM sqlite_master WHERE type = 'table'";

/** A row as text, bytes as the text that they may be. */
const textOf = (row: Record<string, unknown>): string =>
  Object.entries(row)
    .map(([name, value]) => {
      const bytes = value instanceof ArrayBuffer || ArrayBuffer.isView(value) || Array.isArray(value);
      return `${name}=${bytes ? new TextDecoder().decode(Uint8Array.from(value as never)) : JSON.stringify(value)}`;
    })
    .join(' ');

async function* inDatabase(): AsyncGenerator<Found> {
  const { results } = await env.DB.prepare(LIST).all();
  for (const table of tablesOf(results)) {
    for (const row of (await env.DB.prepare(`SELECT * FROM "${table}"`).all()).results) {
      yield { where: `D1 ${table}`, text: textOf(row) };
    }
  }
}

async function* inBuckets(): AsyncGenerator<Found> {
  for (const { key } of (await env.R2.list()).objects) {
    yield { where: `R2 ${key}`, text: `${key} ${await (await env.R2.get(key))?.text()}` };
  }
  for (const { name } of (await env.KV.list()).keys) {
    yield { where: `KV ${name}`, text: `${name} ${await env.KV.get(name)}` };
  }
}

async function* inObjects(): AsyncGenerator<Found> {
  const namespaces = {
    LEDGER: env.LEDGER,
    IDEMPOTENCY: env.IDEMPOTENCY,
    QUOTA: env.QUOTA,
    INBOX: env.INBOX,
    RUN: env.RUN,
    DISPATCHER: env.DISPATCHER,
    ERASER: env.ERASER,
    SPENDING: env.SPENDING,
    DELIVERIES: env.DELIVERIES,
  };
  for (const [name, namespace] of Object.entries(namespaces)) {
    for (const id of await listDurableObjectIds(namespace)) {
      const rows = await runInDurableObject(namespace.get(id), async (_, { storage }) => [
        ...tablesOf(storage.sql.exec(LIST)).flatMap((table) =>
          storage.sql
            .exec(`SELECT * FROM "${table}"`)
            .toArray()
            .map((row) => `${table}: ${textOf(row)}`),
        ),
        ...[...(await storage.list())].map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
      ]);
      yield* rows.map((text) => ({ where: `${name} ${text.split(':')[0]}`, text }));
    }
  }
}

/** Where one of these texts is kept: store and table. */
export async function keptIn(needles: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const part of [inDatabase(), inBuckets(), inObjects()]) {
    for await (const { where, text } of part) {
      const needle = needles.find((one) => text.includes(one));
      if (needle !== undefined) {
        found.add(`${where}: ${needle}`);
      }
    }
  }
  return [...found].sort();
}
