/** A job's params, from its message or by reference. */
import { jsonPointer, paramError, SextantError } from '../../shared/contracts/problem.ts';
import type { Claim, Message } from '../../shared/contracts/worker-call.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import { inputDigest, sha256Hex } from '../../shared/signing/digest.ts';
import type { Lease } from './lease.ts';

const TIMEOUT_MS = 60_000;

/**
 * The params, checked against the digest that the edge signed and against this worker's own contract. Raises
 * `job_type_unknown`, `validation_failed` or `worker_outdated` where the worker's version differs from the edge's,
 * `artefact_mismatch`, and `unavailable` where the lease ended first.
 */
export async function paramsOf(message: Message, claim: Claim, lease: Lease): Promise<Record<string, unknown>> {
  const contract = Object.hasOwn(JOB_CONTRACTS, message.type) ? JOB_CONTRACTS[message.type] : undefined;
  if (!contract) {
    throw new SextantError('job_type_unknown', `this worker knows no job type '${message.type}'`);
  }
  const params = message.params ?? (await lease.persist(() => fetchParams(message, claim, lease.signal)));
  if ((await inputDigest(message.type, contract.version, params)) !== message.input_digest) {
    throw new SextantError('worker_outdated', 'the params are not those of the input digest: versions differ');
  }
  const parsed = contract.params.safeParse(params);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw paramError('validation_failed', jsonPointer(issue?.path ?? []), issue?.message ?? 'the params do not fit');
  }
  return parsed.data as Record<string, unknown>;
}

async function fetchParams(
  { params_ref }: Message,
  { params_url }: Claim,
  until: AbortSignal,
): Promise<Record<string, unknown>> {
  if (!params_ref || !params_url) {
    throw new SextantError('validation_failed', 'the message holds no params');
  }
  const signal = AbortSignal.any([until, AbortSignal.timeout(TIMEOUT_MS)]);
  const bytes = await fetch(params_url, { signal })
    .then(async (response) => (response.ok ? new Uint8Array(await response.arrayBuffer()) : response.status))
    .catch((error: unknown) => String(error));
  if (!(bytes instanceof Uint8Array)) {
    throw new SextantError('unavailable', `the params cannot be fetched: ${bytes}`);
  }
  if (bytes.byteLength !== params_ref.bytes || (await sha256Hex(bytes)) !== params_ref.sha256) {
    throw new SextantError('artefact_mismatch', 'the fetched params have another digest than the message names');
  }
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}
