/** Params too long for a queue message lie in the bucket while the job lives; the message names their digest. */
import { PARAMS_INLINE_LIMIT } from '../../shared/contracts/worker-call.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { presign } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';
import type { StoredParams } from './store.ts';

/** A worker fetches params right after its claim. */
const READ_LIFE_S = 600;

const paramsKey = (tenant: string, job: string): string => `t/${tenant}/params/${job}`;

/** Stores the params where they are too long to travel inline. */
export async function storeParams(
  env: Env,
  tenant: string,
  job: string,
  params: Record<string, unknown>,
): Promise<StoredParams> {
  const bytes = new TextEncoder().encode(JSON.stringify(params));
  if (bytes.byteLength <= PARAMS_INLINE_LIMIT) return { inline: params };
  await env.R2.put(paramsKey(tenant, job), bytes);
  return { reference: { sha256: await sha256Hex(bytes), bytes: bytes.byteLength } };
}

export const paramsAddress = (env: Env, tenant: string, job: string): Promise<string> =>
  presign(env, 'GET', paramsKey(tenant, job), READ_LIFE_S);

export const deleteParams = (env: Env, tenant: string, job: string): Promise<void> =>
  env.R2.delete(paramsKey(tenant, job));
