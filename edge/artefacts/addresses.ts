/** Where bytes lie in the bucket, and presigned addresses for them. */
import { AwsClient } from 'aws4fetch';
import type { Env } from '../environment.ts';

/** Upload addresses live this long; leftovers are deleted only after a day, so no late upload outlives its clean-up. */
export const UPLOAD_LIFE_S = 3600;
/** A job may read its inputs this long after a claim. */
const READ_LIFE_S = 6 * 3600;

/** Everything that the tenant has in the bucket. */
export const tenantPrefix = (tenant: string): string => `t/${tenant}/`;
/** Everything of the tenant that is not yet checked. */
export const stagingPrefixOfTenant = (tenant: string): string => `${tenantPrefix(tenant)}staging/`;
/** Bytes of all attempts, not yet checked. `job` is a job's or, for a client's upload, an artefact's id. */
export const stagingPrefixOf = (tenant: string, job: string): string => `${stagingPrefixOfTenant(tenant)}${job}/`;
/** Bytes of one attempt. */
export const stagingPrefix = (tenant: string, job: string, attempt: number): string =>
  `${stagingPrefixOf(tenant, job)}${attempt}/`;
export const stagingKey = (tenant: string, job: string, attempt: number, n: number): string =>
  `${stagingPrefix(tenant, job, attempt)}${n}`;
/** Checked bytes; written once, never overwritten. */
export const blobKey = (tenant: string, sha256: string): string => `${tenantPrefix(tenant)}blob/${sha256}`;

let client: AwsClient | undefined;
const clientOf = (env: Env): AwsClient => {
  client ??= new AwsClient({
    accessKeyId: env.S3_ACCESS_KEY_ID,
    secretAccessKey: env.S3_SECRET_ACCESS_KEY,
    service: 's3',
    region: 'auto',
  });
  return client;
};

/** An address that lets its holder `method` one object for `life_s` seconds. */
export async function presign(env: Env, method: 'GET' | 'PUT', key: string, life_s: number): Promise<string> {
  const url = new URL(`${env.S3_ENDPOINT}/${env.S3_BUCKET}/${key}`);
  url.searchParams.set('X-Amz-Expires', String(life_s));
  return (await clientOf(env).sign(url.href, { method, aws: { signQuery: true } })).url;
}

/** An address from which a worker reads a blob of the tenant whose job it claimed; the caller checked that it owns it. */
export const presignRead = (env: Env, tenant: string, sha256: string): Promise<string> =>
  presign(env, 'GET', blobKey(tenant, sha256), READ_LIFE_S);
