/** Turns a worker's completion into one that the ledger can accept: checked, promoted, named. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { FieldError } from '../../shared/contracts/problem-document.ts';
import {
  type Acceptance,
  COMPLETION_LIMIT,
  type CompleteRequest,
  RESULT_LIMIT,
} from '../../shared/contracts/worker-call.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';
import { PROMOTION_MS, promoteUploads, verifyAndPromote } from '../artefacts/promotion.ts';
import type { Env } from '../environment.ts';
import { fieldErrors } from '../http/problem.ts';
import { identifyResults } from '../published/index-rows.ts';
import type { Held } from './held.ts';
import type { Completion } from './publish.ts';

/**
 * The completion, or how far the promotion of its uploads has come where it takes longer than one call may: the same
 * request again goes on. Raises `validation_failed`, `conflict`, `artefact_missing`, `artefact_mismatch`, `unavailable`.
 */
export async function checkCompletion(
  env: Env,
  held: Held & { job: string },
  request: CompleteRequest,
): Promise<Completion | Acceptance> {
  const { tenant, job, attempt } = held;
  if (request.input_digest !== held.input_digest) {
    throw new SextantError('conflict', 'the completion answers another input than the job has');
  }
  const contract = JOB_CONTRACTS[held.type];
  const checked = contract?.result.safeParse(request.result);
  if (checked && !checked.success) {
    throw misfit(fieldErrors(checked.error.issues, ['result']));
  }
  // a result has the fields that its contract declares, and no other
  const result = checked ? (checked.data as Record<string, unknown>) : request.result;
  const text = canonicalJson(result);
  if (text.length > RESULT_LIMIT) {
    throw misfit([
      { pointer: '/result', code: 'too_large', detail: `a result has at most ${RESULT_LIMIT} characters` },
    ]);
  }
  const unexpected = request.published.find((result) => !contract?.produces.includes(result.kind));
  if (unexpected) {
    throw misfit([{ pointer: '/published', code: 'kind', detail: `${held.type} produces no ${unexpected.kind}` }]);
  }
  const uploads = { tenant, job, attempt, artefacts: request.artefacts };
  const { left, of } = await promoteUploads(env, uploads, { patience_ms: PROMOTION_MS });
  if (left > 0) {
    return { status: 'promoting', promoted: of - left, of };
  }
  const artefacts = await verifyAndPromote(env, uploads);
  const published = await identifyResults(env, tenant, request.published);
  const outcome = {
    result,
    result_digest: await sha256Hex(text),
    metrics: request.metrics,
    run: request.run,
    artefacts,
    published: published.map(({ id, manifest }) => ({ kind: manifest.kind, id })),
  };
  const completion: Completion = { outcome, published, models: request.models };
  if (JSON.stringify(completion).length > COMPLETION_LIMIT) {
    throw misfit([
      { pointer: '/published', code: 'too_large', detail: 'put large manifests into fewer, larger blobs' },
    ]);
  }
  return completion;
}

const misfit = (errors: FieldError[]): SextantError =>
  new SextantError('validation_failed', `${errors[0]?.pointer}: ${errors[0]?.detail}`, { errors });
