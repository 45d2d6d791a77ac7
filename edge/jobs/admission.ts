/** Whether a request for a job is accepted: everything that can be refused is refused before anything is queued. */
import { type CreateJob, createJobSchema } from '../../shared/contracts/job.ts';
import type { Lane } from '../../shared/contracts/lane.ts';
import type { Manifest } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { type JobContract, laneOf, type VectorUse } from '../../shared/jobs/contract.ts';
import type { Estimate } from '../../shared/jobs/costs.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import { inputDigest } from '../../shared/signing/digest.ts';
import type { Env } from '../environment.ts';
import { withKnownFields } from '../http/known-fields.ts';
import { fieldErrors } from '../http/problem.ts';
import type { AccessKey } from '../keys/access-key.ts';
import { checkModels, describedModels } from '../models/known-models.ts';
import { findName } from '../vectors/names.ts';
import { checkWebhookAddress } from '../webhooks/address.ts';
import { isPool, lanesOf, poolNames } from '../workers/pools.ts';
import { checkInputs } from './inputs.ts';
import type { Terms } from './state.ts';

type Admitted = {
  request: CreateJob;
  contract: JobContract;
  /** With defaults applied. */
  params: Record<string, unknown>;
  input_digest: string;
  estimate: Estimate;
  lane: Lane;
  /** It works with refusal, by its type or by a vector. */
  dual: boolean;
};

/**
 * Checks a parsed body. Raises `validation_failed`, `job_type_unknown`, `scope_missing`, `input_not_found`,
 * `hook_unknown`, `spending_cap`, each saying what would have been right.
 */
export async function admit(env: Env, key: AccessKey, body: unknown): Promise<Admitted> {
  const request = createJobSchema.safeParse(body);
  if (!request.success) {
    throw misfit(withKnownFields(fieldErrors(request.error.issues), createJobSchema, body));
  }
  const contract = contractOf(request.data.type);
  if (!key.scopes.has(contract.scope)) {
    throw new SextantError('scope_missing', `jobs of type ${contract.type} need the scope ${contract.scope}`);
  }
  const parsed = contract.params.safeParse(request.data.params);
  if (!parsed.success) {
    const errors = withKnownFields(fieldErrors(parsed.error.issues), contract.params, request.data.params);
    throw misfit(errors.map((error) => ({ ...error, pointer: `/params${error.pointer}` })));
  }
  const params = parsed.data as Record<string, unknown>;
  const permission = contract.permission?.(params) ?? null;
  if (permission !== null && env[permission] !== '1') {
    const detail = `the operator of this service does not allow it: ${permission} is not set`;
    throw misfit([{ pointer: '/params', code: 'not_permitted', detail }]);
  }
  if (request.data.webhook) {
    checkWebhookAddress(env, request.data.webhook);
  }
  if (!isPool(env, request.data.pool)) {
    const detail = `there is no pool ${request.data.pool}; the pools are ${poolNames(env).join(', ')}`;
    throw misfit([{ pointer: '/pool', code: 'pool_unknown', detail }]);
  }
  await resolveNames(env, key.tenant, contract.vectors?.(params) ?? []);
  const published = await checkInputs(env, key.tenant, contract.inputs(params));
  const refusal = published.some(isRefusalVector);
  if (refusal && !key.scopes.has(REFUSAL_SCOPE)) {
    throw new SextantError('scope_missing', `vectors of refusal need the scope ${REFUSAL_SCOPE}`);
  }
  const uses = contract.models(params);
  const models = await describedModels(env, key.tenant, uses);
  checkModels(uses, models);
  const estimate = contract.estimate(params, models[0] ?? null, published);
  const { max_cost } = request.data;
  if (max_cost !== undefined && estimate.device_seconds > max_cost) {
    throw new SextantError(
      'spending_cap',
      `the estimate of ${Math.ceil(estimate.device_seconds)} device seconds exceeds max_cost = ${max_cost}`,
      { details: { estimate } },
    );
  }
  const input_digest = await inputDigest(contract.type, contract.version, params);
  const wanted = laneOf(contract, params);
  const lane = lanesOf(env, request.data.pool).includes(wanted) ? wanted : 'batch';
  const dual = refusal || contract.scope === REFUSAL_SCOPE;
  return { request: request.data, contract, params, input_digest, estimate, lane, dual };
}

/** Dual use: what this scope lets through is on record. */
const REFUSAL_SCOPE = 'directions:refusal';
const isRefusalVector = ({ kind, method }: Manifest): boolean => kind === 'vector' && method.startsWith('refusal.');

export const termsOf = (
  id: string,
  tenant: string,
  { request, contract, input_digest, estimate, lane }: Admitted,
): Terms => ({
  id,
  tenant,
  type: contract.type,
  input_digest,
  created_at: Date.now(),
  timeout_ms: request.timeout_s * 1000,
  queue_ttl_ms: request.queue_ttl_s * 1000,
  max_attempts: request.max_attempts,
  retention_ms: contract.retention_days * 86_400_000,
  inputs_kept_ms: contract.sensitive_inputs ? 86_400_000 : null,
  estimate_s: estimate.device_seconds,
  max_cost_s: request.max_cost,
  webhook: request.webhook ?? null,
  pool: request.pool,
  lane,
  labels: request.labels,
});

/** Names of vectors in the params become the ids that they point to now. Raises `input_not_found`. */
async function resolveNames(env: Env, tenant: string, uses: readonly VectorUse[]): Promise<void> {
  for (const { of, pointer } of uses) {
    if (typeof of.vector === 'string') {
      continue;
    }
    const { name } = of.vector;
    const found = await findName(env, tenant, name);
    if (!found) {
      const detail = `there is no vector name "${name}"`;
      throw new SextantError('input_not_found', detail, {
        errors: [{ pointer: `/params${pointer}/name`, code: 'input_not_found', detail }],
      });
    }
    of.vector = found.vector;
  }
}

function contractOf(type: string): JobContract {
  const contract = Object.hasOwn(JOB_CONTRACTS, type) ? JOB_CONTRACTS[type] : undefined;
  if (contract) {
    return contract;
  }
  const detail = `there is no job type '${type}'; the types are ${Object.keys(JOB_CONTRACTS).join(', ')}`;
  throw new SextantError('job_type_unknown', detail, {
    errors: [{ pointer: '/type', code: 'job_type_unknown', detail }],
  });
}

function misfit(errors: ReturnType<typeof fieldErrors>): SextantError {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new SextantError('validation_failed', `${first?.pointer || 'the whole body'}: ${first?.detail}${more}`, {
    errors,
  });
}
