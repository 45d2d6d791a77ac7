/** What the Worker is given to work with; the bindings are declared in `wrangler.toml`. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Problem } from '../shared/contracts/problem-document.ts';
import type { AccessKey } from './keys/access-key.ts';
import type { Allowance } from './quota/allowance.ts';

export interface Env {
  readonly DB: D1Database;
  readonly KV: KVNamespace;
  readonly R2: R2Bucket;
  /** Files of `edge/site`. */
  readonly ASSETS: Fetcher;
  readonly GPU_QUEUE: Queue<{ jws: string }>;
  /** Durable Objects: `ledgerOf`, `inboxOf`, `runOf` and the like know the class behind each. */
  readonly LEDGER: DurableObjectNamespace;
  readonly IDEMPOTENCY: DurableObjectNamespace;
  readonly QUOTA: DurableObjectNamespace;
  readonly INBOX: DurableObjectNamespace;
  readonly RUN: DurableObjectNamespace;
  readonly DISPATCHER: DurableObjectNamespace;
  readonly ERASER: DurableObjectNamespace;
  readonly SPENDING: DurableObjectNamespace;
  readonly DELIVERIES: DurableObjectNamespace;

  /** S3 interface of the bucket behind `R2`, for presigned addresses. */
  readonly S3_ENDPOINT: string;
  readonly S3_BUCKET: string;
  readonly S3_ACCESS_KEY_ID: string;
  readonly S3_SECRET_ACCESS_KEY: string;
  /** Private JWK set (Ed25519) as JSON: the first key signs, all are published. */
  readonly SIGNING_KEYS: string;

  readonly READS_PER_MINUTE: number;
  readonly WRITES_PER_MINUTE: number;
  readonly JOBS_PER_MINUTE: number;
  readonly LEASE_MS: number;
  readonly RESEND_MS: number;
  /** JSON: names of the worker pools, each with the bindings of its queues, one a lane. */
  readonly POOLS: string;
  /** Jobs that one tenant may have on workers at once, per pool and lane. */
  readonly TENANT_CONCURRENCY: number;
  /** Key from which each tenant's webhook signing secret is derived, and under which secrets are sealed in the database. */
  readonly WEBHOOK_KEY: string;
  /** '1' in development alone: webhooks may go to this machine. */
  readonly WEBHOOK_ALLOW_LOOPBACK?: string;
  /** Origins of pages that may call, separated by commas; none where it is empty. */
  readonly CORS_ORIGINS?: string;
  /** '1' where jobs may publish models whose refusal was removed. */
  readonly ALLOW_ABLATED_MODELS?: string;
  /** DNS-over-HTTPS (RFC 8484) resolver that webhook addresses are judged by. */
  readonly DNS_RESOLVER: string;
  /** Hosts under which this service is reached, separated by commas: webhooks never go there. */
  readonly PUBLIC_HOSTS?: string;
}

/** What middleware leaves for a route's handler. */
export type Variables = {
  requestId: string;
  /** The request's traceparent, once something has asked for it: `traceOf`. */
  trace: string | undefined;
  /** How the route tells errors, where not as problem documents. */
  errorShape: ((problem: Problem) => { status: number; body: unknown }) | undefined;
  /** What a handler adds to the request's line in the log. */
  noted: Record<string, string | null> | undefined;
  /** What is left of the caller's rate limit. */
  allowance: Allowance | undefined;
  /** Set on every route that names a scope. */
  key: AccessKey;
  /** The raw bytes of a JSON body, on routes that take one. */
  body: Uint8Array<ArrayBuffer>;
};
export type AppEnv = { Bindings: Env; Variables: Variables };
/** The application that routes are registered with. */
export type App = OpenAPIHono<AppEnv>;

export { PUBLIC_TENANT } from './keys/public-tenant.ts';
