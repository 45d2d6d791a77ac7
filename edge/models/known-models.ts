/** Models that workers have described for a tenant: with them a wrong hook point is refused before anything is queued. */
import { type ModelDescription, modelKey } from '../../shared/contracts/model.ts';
import { type FieldError, SextantError } from '../../shared/contracts/problem.ts';
import type { ModelUse } from '../../shared/jobs/contract.ts';
import { type Env, PUBLIC_TENANT } from '../environment.ts';

/** Statements that remember descriptions; the newest counts. */
export const modelStatements = (
  env: Env,
  tenant: string,
  models: readonly ModelDescription[],
  now: number,
): D1PreparedStatement[] =>
  models.map((model) =>
    env.DB.prepare(
      `INSERT INTO models (tenant, key, description, seen_at) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT DO UPDATE SET description = ?3, seen_at = ?4`,
    ).bind(tenant, model.key, JSON.stringify(model), now),
  );

/**
 * Raises `hook_unknown` for a hook point that a known model lacks. A model nobody has seen is let through: the worker
 * resolves it first of all and fails with a typed error there.
 */
export async function checkHooks(env: Env, tenant: string, uses: readonly ModelUse[]): Promise<void> {
  if (uses.every((use) => use.hooks.length === 0)) return;
  const keys = uses.map((use) => modelKey(use.reference));
  const { results } = await env.DB.prepare(
    `SELECT description FROM models WHERE tenant IN (?1, ?2) AND key IN (SELECT value FROM json_each(?3))
     ORDER BY tenant = ?1`,
  )
    .bind(tenant, PUBLIC_TENANT, JSON.stringify(keys))
    .all<{ description: string }>();
  const known = new Map(
    results.map((row) => {
      const model = JSON.parse(row.description) as ModelDescription;
      return [model.key, model] as const;
    }),
  );
  const errors = uses.flatMap((use, i) => {
    const model = known.get(keys[i] ?? '');
    return model ? use.hooks.filter(({ hook }) => !hasHook(model, hook)).map((wrong) => misfit(model, wrong)) : [];
  });
  if (errors.length > 0) throw new SextantError('hook_unknown', errors[0]?.detail ?? '', { errors });
}

const hasHook = (model: ModelDescription, hook: string): boolean => model.hooks.includes(hook);

function misfit(model: ModelDescription, { hook, pointer }: { hook: string; pointer: string }): FieldError {
  const family = hook.split('.')[0] ?? '';
  const likely = model.hooks.filter((known) => known.split('.')[0] === family);
  const right =
    likely.length > 0
      ? `${family} exists from ${likely[0]} to ${likely.at(-1)}`
      : `its hook points are ${[...new Set(model.hooks.map((known) => known.split('.')[0]))].join(', ')}`;
  const detail = `the model ${model.key} (${model.layers} layers, ${model.heads} heads) has no hook point ${hook}; ${right}`;
  return { pointer: `/params${pointer}`, code: 'hook_unknown', detail };
}
