/** A request is answered within moments: a model that no worker has seen is refused at once, with what would load it. */
import { type ModelReference, modelKey } from '../../shared/contracts/model.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import { modelName } from '../../shared/requests/model-name.ts';
import type { Env } from '../environment.ts';
import { findModel, listModels } from '../models/descriptions.ts';

/** Models that a refusal names. */
const NAMED = 10;

/**
 * @param type jobs of this type load it
 * @throws SextantError `model_unknown`; a published model of the tenant is its own and passes
 */
export async function requireKnownModel(
  env: Env,
  tenant: string,
  reference: ModelReference,
  type: string,
): Promise<void> {
  const key = modelKey(reference);
  if ('id' in reference || (await findModel(env, tenant, key))) {
    return;
  }
  const known = await listModels(env, tenant, '', NAMED);
  const names = known.map(({ description }) => modelName(description.key)).join(', ') || 'none yet';
  const { packed: _packed, activations: _activations, ...plain } = reference;
  const detail = `no worker has loaded the model ${modelName(key)} for this tenant; POST /v1/jobs with {"type": "${type}", "params": {"model": ${JSON.stringify(plain)}, ...}} loads it. Known models: ${names}`;
  throw new SextantError('model_unknown', detail, { errors: [{ pointer: '/model', code: 'model_unknown', detail }] });
}
