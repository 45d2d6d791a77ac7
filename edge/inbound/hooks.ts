/** Inbound hooks in the database, and what the receiving route remembers of them. */
import type { Provider } from '../../shared/contracts/inbound.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { Env } from '../environment.ts';
import { live, type SealedSecret, unseal } from '../keys/sealed.ts';
import type { Pointers } from './providers/provider.ts';

export type Hook = {
  id: string;
  tenant: string;
  name: string;
  provider: Provider;
  recipe: string;
  recipe_version: number | null;
  /** Empty: every repository that the sender's secret vouches for. */
  repositories: string[];
  ref: string;
  pointers: Pointers;
  secrets: SealedSecret[];
  key: string;
  disabled: boolean;
  created_at: number;
};
type Row = Omit<Hook, 'repositories' | 'pointers' | 'secrets' | 'disabled'> & {
  repositories: string;
  pointers: string;
  secrets: string;
  disabled: number;
};

const hookOf = (row: Row): Hook => ({
  ...row,
  repositories: JSON.parse(row.repositories) as string[],
  pointers: JSON.parse(row.pointers) as Pointers,
  secrets: JSON.parse(row.secrets) as SealedSecret[],
  disabled: row.disabled === 1,
});

export async function findHook(env: Env, id: string): Promise<Hook | null> {
  const row = await env.DB.prepare('SELECT * FROM inbound_hooks WHERE id = ?').bind(id).first<Row>();
  return row && hookOf(row);
}

/** The tenant's hook. Raises `not_found`. */
export async function readHook(env: Env, tenant: string, id: string): Promise<Hook> {
  const hook = await findHook(env, id);
  if (hook?.tenant !== tenant) {
    throw new SextantError('not_found', `there is no inbound hook ${id}`);
  }
  return hook;
}

export async function listHooks(
  env: Env,
  tenant: string,
  before: { created: number; id: string },
  limit: number,
): Promise<Hook[]> {
  const { results } = await env.DB.prepare(
    `SELECT * FROM inbound_hooks WHERE tenant = ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?`,
  )
    .bind(tenant, before.created, before.id, limit)
    .all<Row>();
  return results.map(hookOf);
}

export const insertHook = (env: Env, hook: Hook): D1PreparedStatement =>
  env.DB.prepare(
    `INSERT INTO inbound_hooks (id, tenant, name, provider, recipe, recipe_version, repositories, ref, pointers, secrets,
       key, disabled, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).bind(
    hook.id,
    hook.tenant,
    hook.name,
    hook.provider,
    hook.recipe,
    hook.recipe_version,
    JSON.stringify(hook.repositories),
    hook.ref,
    JSON.stringify(hook.pointers),
    JSON.stringify(hook.secrets),
    hook.key,
    hook.disabled ? 1 : 0,
    hook.created_at,
  );

/** A hook with its secrets in the clear, as a delivery is checked against. */
type OpenHook = { hook: Hook; secrets: { text: string; expires_at: number | null }[] };

/** How long another isolate may still take a secret, or a hook, that has just been withdrawn. */
const REMEMBERED_MS = 5_000;
const LIMIT = 2_000;
const open = new BoundedMap<string, { found: OpenHook; until: number }>(LIMIT);

export function forgetHook(id: string): void {
  open.delete(id);
}

/** The hook and its secrets, remembered for a few seconds so that a burst costs one query. `now` in ms. */
export async function openHook(env: Env, id: string, now: number): Promise<OpenHook | null> {
  const remembered = open.get(id);
  if (remembered && now < remembered.until) {
    return remembered.found;
  }
  const hook = await findHook(env, id);
  if (!hook) {
    return null;
  }
  const secrets = await Promise.all(
    live(hook.secrets, now).map(async ({ sealed, expires_at }) => ({
      text: await unseal(env, id, sealed),
      expires_at,
    })),
  );
  const found = { hook, secrets };
  open.set(id, { found, until: now + REMEMBERED_MS });
  return found;
}
