/** Params too long for a queue message lie in the bucket while the job lives; the message names their digest. */
import { SextantError } from '../../shared/contracts/problem.ts';
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
  const text = JSON.stringify(params);
  const bytes = new TextEncoder().encode(text).byteLength;
  if (bytes <= PARAMS_INLINE_LIMIT) {
    return { inline: params };
  }
  await env.R2.put(paramsKey(tenant, job), text);
  return { reference: { sha256: await sha256Hex(text), bytes } };
}

/** The params of a job that were too long to travel inline. Raises `unavailable` where they are not there. */
export async function readParams(env: Env, tenant: string, job: string): Promise<Record<string, unknown>> {
  const stored = await env.R2.get(paramsKey(tenant, job));
  if (!stored) {
    throw new SextantError('unavailable', 'the params of the job cannot be read');
  }
  return stored.json<Record<string, unknown>>();
}

export const paramsAddress = (env: Env, tenant: string, job: string): Promise<string> =>
  presign(env, 'GET', paramsKey(tenant, job), READ_LIFE_S);

export const deleteParams = (env: Env, tenant: string, job: string): Promise<void> =>
  env.R2.delete(paramsKey(tenant, job));
