/** What belongs to a tenant as a whole: keys, usage, the audit log; and the service itself. */
import type { z } from 'zod';
import type { AuditEntry } from '../../../shared/contracts/audit.ts';
import type { capabilitiesSchema, healthSchema, problemTypeSchema } from '../../../shared/contracts/capabilities.ts';
import type { createKeySchema, keySchema, newKeySchema } from '../../../shared/contracts/key.ts';
import type { poolSchema } from '../../../shared/contracts/pool.ts';
import type { keySetSchema } from '../../../shared/contracts/signing-keys.ts';
import type { deleteTenantSchema, tenantDeletionSchema } from '../../../shared/contracts/tenant.ts';
import type { spendingCapSchema, usageSchema } from '../../../shared/contracts/usage.ts';
import { type PageOptions, Pages } from '../pages.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';
import { withoutUndefined } from './jobs.ts';

export type Key = z.output<typeof keySchema>;
export type NewKey = z.output<typeof newKeySchema>;
export type Usage = z.output<typeof usageSchema>;
export type SpendingCap = z.output<typeof spendingCapSchema>;
export type Capabilities = z.output<typeof capabilitiesSchema>;

export class Keys {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The key's text is in this answer and no other. @throws AnswerLostError where it was lost on the way */
  create(body: z.input<typeof createKeySchema>, options: CreateOptions = {}): Promise<NewKey> {
    return this.#transport.json('POST', '/v1/keys', { ...options, body });
  }

  list(options: PageOptions = {}): Pages<Key> {
    return new Pages(this.#transport, '/v1/keys', options);
  }

  get(id: string, options: CallOptions = {}): Promise<Key> {
    return this.#transport.json('GET', `/v1/keys/${encodeURIComponent(id)}`, options);
  }

  /** The old key keeps working for `overlapS` seconds. */
  rotate(id: string, { overlapS, ...options }: CreateOptions & { overlapS?: number } = {}): Promise<NewKey> {
    const query = { overlap_s: overlapS };
    return this.#transport.json('POST', `/v1/keys/${encodeURIComponent(id)}/rotate`, { ...options, query });
  }

  /** Takes effect within 30 s. */
  revoke(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/keys/${encodeURIComponent(id)}`, options);
  }
}

export class Tenant {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Device seconds by day and key; `from` and `to` as YYYY-MM-DD. */
  usage({ signal, ...query }: CallOptions & { from?: string; to?: string } = {}): Promise<Usage> {
    return this.#transport.json('GET', '/v1/usage', { query, ...withoutUndefined({ signal }) });
  }

  audit(options: PageOptions & { action?: string; actor?: string } = {}): Pages<AuditEntry> {
    return new Pages(this.#transport, '/v1/audit', options);
  }

  /** Without a confirmation: what would go, and the code that confirms it. With it: nothing, since the tenant goes. */
  async delete(
    body: z.input<typeof deleteTenantSchema> = {},
    options: CallOptions = {},
  ): Promise<z.output<typeof tenantDeletionSchema> | null> {
    const answer = await this.#transport.response('POST', '/v1/tenant-deletions', { ...options, body });
    return answer.status === 202 ? null : ((await answer.json()) as z.output<typeof tenantDeletionSchema>);
  }
}

/** The deployment: open to all, or to its operator. */
export class Service {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  health(options: CallOptions = {}): Promise<z.output<typeof healthSchema>> {
    return this.#transport.json('GET', '/healthz', { ...options, open: true });
  }

  capabilities(options: CallOptions = {}): Promise<Capabilities> {
    return this.#transport.json('GET', '/v1/capabilities', { ...options, open: true });
  }

  problem(code: string, options: CallOptions = {}): Promise<z.output<typeof problemTypeSchema>> {
    return this.#transport.json('GET', `/problems/${encodeURIComponent(code)}`, { ...options, open: true });
  }

  /** The public keys that job messages are signed with. */
  signingKeys(options: CallOptions = {}): Promise<z.output<typeof keySetSchema>> {
    return this.#transport.json('GET', '/.well-known/jwks.json', { ...options, open: true });
  }

  /** Jobs waiting and running in a pool, for the operator. */
  pool(pool: string, options: CallOptions = {}): Promise<z.output<typeof poolSchema>> {
    return this.#transport.json('GET', `/v1/pools/${encodeURIComponent(pool)}`, options);
  }

  /** Prometheus text, for the operator. */
  async metrics(options: CallOptions = {}): Promise<string> {
    return (await this.#transport.response('GET', '/v1/metrics', options)).text();
  }

  /** Caps a tenant's device seconds per day, for the operator. */
  setSpendingCap(
    tenant: string,
    body: z.input<typeof spendingCapSchema>,
    options: CallOptions = {},
  ): Promise<SpendingCap> {
    return this.#transport.json('PUT', `/v1/spending-caps/${encodeURIComponent(tenant)}`, { ...options, body });
  }
}
