/** Models that workers have described for a tenant: with them a wrong hook point is refused before anything is queued. */
import {
  type LanguageDescription,
  type ModelDescription,
  modelDescriptionSchema,
  modelKey,
} from '../../shared/contracts/model.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { FieldError } from '../../shared/contracts/problem-document.ts';
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

/** What workers described of each model that is used; null for one that none has resolved for the tenant yet. */
export async function describedModels(
  env: Env,
  tenant: string,
  uses: readonly ModelUse[],
): Promise<(ModelDescription | null)[]> {
  if (uses.length === 0) {
    return [];
  }
  const keys = uses.map((use) => modelKey(use.reference));
  const { results } = await env.DB.prepare(
    `SELECT description FROM models WHERE tenant IN (?1, ?2) AND key IN (SELECT value FROM json_each(?3))
     ORDER BY tenant = ?1`,
  )
    .bind(tenant, PUBLIC_TENANT, JSON.stringify(keys))
    .all<{ description: string }>();
  const known = new Map(
    results.map((row) => {
      const model = modelDescriptionSchema.parse(JSON.parse(row.description));
      return [model.key, model] as const;
    }),
  );
  return keys.map((key) => known.get(key) ?? null);
}

/**
 * Raises `model_unsupported` for a known model of another task than the job's, `context_exceeded` for a window that it
 * cannot hold, and `hook_unknown` for a hook point that it lacks. A model nobody has seen is let through: the worker resolves it first of all and fails with a typed error there.
 */
export function checkModels(uses: readonly ModelUse[], models: readonly (ModelDescription | null)[]): void {
  const found = uses.flatMap((use, i) => {
    const model = models[i];
    return model ? [{ use, model }] : [];
  });
  const other = found.flatMap(({ use, model }) => otherTask(model, use));
  if (other.length > 0) {
    throw new SextantError('model_unsupported', other[0]?.detail ?? '', { errors: other });
  }
  const longer = found.flatMap(({ use, model }) => beyondContext(model, use));
  if (longer.length > 0) {
    throw new SextantError('context_exceeded', longer[0]?.detail ?? '', { errors: longer });
  }
  const errors = found.flatMap(({ use, model }) =>
    model.task === 'language'
      ? use.hooks.filter(({ hook }) => !model.hooks.includes(hook)).map((wrong) => misfit(model, wrong))
      : [],
  );
  if (errors.length > 0) {
    throw new SextantError('hook_unknown', errors[0]?.detail ?? '', { errors });
  }
}

function otherTask(model: ModelDescription, { pointer, task = 'language' }: ModelUse): FieldError[] {
  if (model.task === task) {
    return [];
  }
  const detail = `${model.key} is a model for the task '${model.task}'; this job takes one for '${task}'`;
  return [{ pointer: `/params${pointer}`, code: 'model_unsupported', detail }];
}

function beyondContext(model: ModelDescription, { context }: ModelUse): FieldError[] {
  if (model.task !== 'language' || !context || context.tokens <= model.context) {
    return [];
  }
  const detail = `${context.tokens} tokens; the context of ${model.key} holds ${model.context}`;
  return [{ pointer: `/params${context.pointer}`, code: 'context_exceeded', detail }];
}

function misfit(model: LanguageDescription, { hook, pointer }: { hook: string; pointer: string }): FieldError {
  const family = hook.split('.')[0] ?? '';
  const likely = model.hooks.filter((known) => known.split('.')[0] === family);
  const right =
    likely.length > 0
      ? `${family} exists from ${likely[0]} to ${likely.at(-1)}`
      : `its hook points are ${[...new Set(model.hooks.map((known) => known.split('.')[0]))].join(', ')}`;
  const detail = `the model ${model.key} (${model.layers} layers, ${model.heads} heads) has no hook point ${hook}; ${right}`;
  return { pointer: `/params${pointer}`, code: 'hook_unknown', detail };
}
