/** Webhook endpoints in the database. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';
import { live, type SealedSecret, unseal } from '../keys/sealed.ts';
import type { Scheme } from './signer.ts';

export type Endpoint = {
  id: string;
  tenant: string;
  name: string;
  address: string;
  events: string[];
  scheme: Scheme;
  secrets: SealedSecret[];
  disabled_at: number | null;
  disabled_reason: string | null;
  created_at: number;
};
type Row = Omit<Endpoint, 'events' | 'secrets'> & { events: string; secrets: string };
const endpointOf = (row: Row): Endpoint => ({
  ...row,
  events: JSON.parse(row.events) as string[],
  secrets: JSON.parse(row.secrets) as SealedSecret[],
});

export async function findEndpoint(env: Env, id: string): Promise<Endpoint | null> {
  const row = await env.DB.prepare('SELECT * FROM webhook_endpoints WHERE id = ?').bind(id).first<Row>();
  return row && endpointOf(row);
}

/** The tenant's endpoint. Raises `not_found`. */
export async function readEndpoint(env: Env, tenant: string, id: string): Promise<Endpoint> {
  const endpoint = await findEndpoint(env, id);
  if (endpoint?.tenant !== tenant) {
    throw new SextantError('not_found', `there is no webhook endpoint ${id}`);
  }
  return endpoint;
}

export async function listEndpoints(
  env: Env,
  tenant: string,
  before: { created: number; id: string },
  limit: number,
): Promise<Endpoint[]> {
  const { results } = await env.DB.prepare(
    `SELECT * FROM webhook_endpoints WHERE tenant = ? AND (created_at, id) < (?, ?)
     ORDER BY created_at DESC, id DESC LIMIT ?`,
  )
    .bind(tenant, before.created, before.id, limit)
    .all<Row>();
  return results.map(endpointOf);
}

/** Those of the tenant that are told of events now: ids and filters. */
export async function listeningEndpoints(env: Env, tenant: string): Promise<{ id: string; events: string[] }[]> {
  const { results } = await env.DB.prepare(
    'SELECT id, events FROM webhook_endpoints WHERE tenant = ? AND disabled_at IS NULL',
  )
    .bind(tenant)
    .all<{ id: string; events: string }>();
  return results.map(({ id, events }) => ({ id, events: JSON.parse(events) as string[] }));
}

export const insertEndpoint = (env: Env, endpoint: Endpoint): D1PreparedStatement =>
  env.DB.prepare(
    `INSERT INTO webhook_endpoints (id, tenant, name, address, events, scheme, secrets, disabled_at, disabled_reason,
       created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).bind(
    endpoint.id,
    endpoint.tenant,
    endpoint.name,
    endpoint.address,
    JSON.stringify(endpoint.events),
    endpoint.scheme,
    JSON.stringify(endpoint.secrets),
    endpoint.disabled_at,
    endpoint.disabled_reason,
    endpoint.created_at,
  );

/** Its secrets in the clear, newest first. */
export const openSecrets = (env: Env, { id, secrets }: Endpoint, now: number): Promise<string[]> =>
  Promise.all(live(secrets, now).map(({ sealed }) => unseal(env, id, sealed)));
