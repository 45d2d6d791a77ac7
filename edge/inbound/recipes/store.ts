/** Recipes in the database. Versions are immutable: a change is another version. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { RecipeBody } from '../../../shared/contracts/recipe.ts';
import type { Env } from '../../environment.ts';
import type { Position } from '../../http/pages.ts';

export type RecipeRow = { id: string; tenant: string; name: string; latest: number; created_at: number };
export type RecipeVersion = { recipe: string; version: number; body: RecipeBody; key: string; created_at: number };
type VersionRow = Omit<RecipeVersion, 'body'> & { body: string };

/** The tenant's recipe. Raises `not_found`. */
export async function readRecipe(env: Env, tenant: string, id: string): Promise<RecipeRow> {
  const row = await env.DB.prepare('SELECT * FROM recipes WHERE tenant = ? AND id = ?')
    .bind(tenant, id)
    .first<RecipeRow>();
  if (!row) {
    throw new SextantError('not_found', `there is no recipe ${id}`);
  }
  return row;
}

/** A version of it; the latest where `version` is null. Raises `not_found`. */
export async function readVersion(env: Env, recipe: RecipeRow, version: number | null): Promise<RecipeVersion> {
  const row = await env.DB.prepare('SELECT * FROM recipe_versions WHERE recipe = ? AND version = ?')
    .bind(recipe.id, version ?? recipe.latest)
    .first<VersionRow>();
  if (!row) {
    throw new SextantError(
      'not_found',
      `the recipe ${recipe.id} has no version ${version}; the latest is ${recipe.latest}`,
    );
  }
  return { ...row, body: JSON.parse(row.body) as RecipeBody };
}

/** The statements that store a version; the first one makes the recipe as well. */
export function versionStatements(
  env: Env,
  recipe: RecipeRow,
  of: { body: RecipeBody; key: string; now: number },
): D1PreparedStatement[] {
  const version = env.DB.prepare(
    'INSERT INTO recipe_versions (recipe, version, body, key, created_at) VALUES (?, ?, ?, ?, ?)',
  ).bind(recipe.id, recipe.latest, JSON.stringify(of.body), of.key, of.now);
  const row =
    recipe.latest === 1
      ? env.DB.prepare('INSERT INTO recipes (id, tenant, name, latest, created_at) VALUES (?, ?, ?, 1, ?)').bind(
          recipe.id,
          recipe.tenant,
          recipe.name,
          of.now,
        )
      : env.DB.prepare('UPDATE recipes SET latest = ? WHERE id = ? AND latest = ?').bind(
          recipe.latest,
          recipe.id,
          recipe.latest - 1,
        );
  return [version, row];
}

/** Up to `limit` recipes of the tenant, newest first, from `before` on. */
export async function listRecipes(
  env: Env,
  tenant: string,
  before: Position,
  limit: number,
): Promise<(RecipeRow & Position)[]> {
  const { results } = await env.DB.prepare(
    `SELECT *, created_at AS created FROM recipes WHERE tenant = ? AND (created_at, id) < (?, ?)
     ORDER BY created_at DESC, id DESC LIMIT ?`,
  )
    .bind(tenant, before.created, before.id, limit)
    .all<RecipeRow & Position>();
  return results;
}
