/** From an accepted delivery to its run: which run it belongs to, and whether it can be run at all. */
import type { DeliveryCode, InboundEvent } from '../../../shared/contracts/inbound.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { derivedId } from '../../../shared/signing/digest.ts';
import type { Env } from '../../environment.ts';
import { findKey } from '../../keys/registry.ts';
import type { Hook } from '../hooks.ts';
import { scopesNeeded } from '../recipes/check.ts';
import { eventFieldsOf } from '../recipes/references.ts';
import { readRecipe, readVersion } from '../recipes/store.ts';
import { runOf } from './run-of.ts';

type Started = { run: string } | { refused: { code: DeliveryCode; detail: string } };

/**
 * The run that a delivery belongs to: by hook, repository, revision (or tag, or the sender's id where there is neither),
 * and recipe version, so that five deliveries of one push are one run. `replay` makes it another one.
 */
const runIdOf = (hook: Hook, event: InboundEvent, version: number, replay: string | null): Promise<string> =>
  derivedId('run', [
    hook.id,
    event.repository,
    event.revision ?? event.tag ?? event.delivery,
    hook.recipe,
    version,
    replay,
  ]);

const refused = (code: DeliveryCode, detail: string): Started => ({ refused: { code, detail } });

/** Starts the run unless it stands already. */
export async function startRun(
  env: Env,
  hook: Hook,
  event: InboundEvent,
  { replay, trace }: { replay: string | null; trace: string },
): Promise<Started> {
  if (hook.disabled) {
    return refused('hook_disabled', 'the hook is disabled');
  }
  try {
    const recipe = await readRecipe(env, hook.tenant, hook.recipe);
    const { version, body } = await readVersion(env, recipe, hook.recipe_version);
    const lacking = eventFieldsOf(body).filter((field) => event[field] === null);
    if (lacking.length > 0) {
      return refused('event_incomplete', `the recipe needs ${lacking.join(', ')} of the event, which has none`);
    }
    const key = await findKey(env, hook.key, Date.now());
    if (!key) {
      return refused('key_revoked', `the key ${hook.key}, which the hook acts with, no longer works`);
    }
    const scopes = scopesNeeded(body).filter((scope) => !key.scopes.has(scope));
    if (scopes.length > 0) {
      return refused('key_revoked', `the key ${hook.key} lacks ${scopes.join(', ')}, which version ${version} needs`);
    }
    const id = await runIdOf(hook, event, version, replay);
    await runOf(env, id).begin({
      id,
      tenant: hook.tenant,
      hook: hook.id,
      recipe: hook.recipe,
      version,
      key: hook.key,
      event,
      replay,
      trace,
      created_at: Date.now(),
      body,
    });
    return { run: id };
  } catch (error) {
    if (error instanceof SextantError && error.code === 'not_found') {
      return refused('recipe_missing', error.message);
    }
    throw error;
  }
}
