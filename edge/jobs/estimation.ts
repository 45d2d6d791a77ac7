/** The estimate of a job whose params are valid, from what is known of the model and the inputs that they name. */
import type { JobContract } from '../../shared/jobs/contract.ts';
import type { Estimate } from '../../shared/jobs/costs.ts';
import type { Env } from '../environment.ts';
import { describedModels } from '../models/known-models.ts';
import { readManifests } from './inputs.ts';

export async function estimateOf(
  env: Env,
  tenant: string,
  contract: JobContract,
  params: Record<string, unknown>,
): Promise<Estimate> {
  const [[model], published] = await Promise.all([
    describedModels(env, tenant, contract.models(params)),
    readManifests(env, tenant, contract.inputs(params)),
  ]);
  return contract.estimate(params, model ?? null, published);
}
