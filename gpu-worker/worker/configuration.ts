/** What the operator tells a worker: a JSON file, with secrets and addresses from the environment where they are set there. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import type { SigningKey } from '../../shared/signing/envelope.ts';

const alias = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const workerKeySchema = z.object({
  kid: randomIdSchema('wkr'),
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

/** Paths are relative to the file. */
const configurationSchema = z.strictObject({
  edge_url: z.url(),
  /** Cloudflare's pull API: https://api.cloudflare.com/client/v4 in production, the gateway in development. */
  queue: z.strictObject({
    api_base: z.url(),
    account: z.string().min(1),
    id: z.string().min(1),
    /** The queue of the pool's interactive jobs; a worker without it takes none. */
    interactive_id: z.string().min(1).exactOptional(),
    token: z.string().min(1),
    poll_ms: z.number().int().min(50).default(1000),
    /** A message is acknowledged once its claim is answered; one whose worker died before comes back after this time. */
    visibility_ms: z.number().int().min(1000).max(43_200_000).default(60_000),
  }),
  /** File with the worker's private JWK; its `kid` is the id under which the operator registered it. */
  key_file: z.string(),
  device: z.enum(['auto', 'cpu', 'webgpu', 'cuda']).default('auto'),
  threads: z.number().int().min(1).default(availableParallelism()),
  memory_limit_bytes: z.number().int().min(50_000_000).default(8_000_000_000),
  /** A computation that reports nothing for this long is ended, in seconds. */
  stall_limit_s: z.number().min(1).default(1800),
  /** Where `GET /metrics` is served as Prometheus text; nowhere unless named. */
  metrics: z
    .strictObject({ host: z.string().min(1).default('127.0.0.1'), port: z.number().int().min(0).max(65_535) })
    .exactOptional(),
  /** Holds `cache` (downloads by digest) and `scratch` (one folder per attempt). */
  data: z.string(),
  /** Whether jobs may publish models whose refusal was removed; `ALLOW_ABLATED_MODELS=1` in the environment says so too. */
  allow_ablated_models: z.boolean().default(false),
  models: z.record(alias, z.string()).default({}),
  corpora: z.record(alias, z.string()).default({}),
  hubs: z.record(z.string(), z.strictObject({ endpoint: z.url(), token: z.string().exactOptional() })).default({}),
});
export type Configuration = z.output<typeof configurationSchema> & { key: SigningKey };

/** Reads the file, lets the environment win, and resolves paths. Raises an Error that names what is missing or wrong. */
export function readConfiguration(file: string, environment: Record<string, string | undefined>): Configuration {
  const raw = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown> & { queue?: Record<string, unknown> };
  const { SEXTANT_EDGE_URL, SEXTANT_QUEUES_TOKEN, SEXTANT_WORKER_KEY_FILE, ALLOW_ABLATED_MODELS } = environment;
  const parsed = configurationSchema.safeParse({
    ...raw,
    ...(SEXTANT_EDGE_URL ? { edge_url: SEXTANT_EDGE_URL } : {}),
    ...(SEXTANT_WORKER_KEY_FILE ? { key_file: SEXTANT_WORKER_KEY_FILE } : {}),
    ...(ALLOW_ABLATED_MODELS === '1' ? { allow_ablated_models: true } : {}),
    queue: { ...raw.queue, ...(SEXTANT_QUEUES_TOKEN ? { token: SEXTANT_QUEUES_TOKEN } : {}) },
  });
  if (!parsed.success) {
    throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
  }
  const from = (path: string): string => resolve(dirname(file), path);
  const absolute = (paths: Record<string, string>) =>
    Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, from(path)]));
  const jwk = workerKeySchema.parse(JSON.parse(readFileSync(from(parsed.data.key_file), 'utf8')));
  return {
    ...parsed.data,
    data: from(parsed.data.data),
    models: absolute(parsed.data.models),
    corpora: absolute(parsed.data.corpora),
    key: { kid: jwk.kid, jwk },
  };
}
