/** Recipes: what an event starts. Versions are immutable; a change is another version. */
import { createRoute, z } from '@hono/zod-openapi';
import { dryRunRequestSchema, dryRunSchema } from '../../shared/contracts/dry-run.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  createRecipeSchema,
  recipeBodySchema,
  recipeSchema,
  recipeSummarySchema,
} from '../../shared/contracts/recipe.ts';
import { randomId } from '../../shared/signing/digest.ts';
import { audited } from '../audit/log.ts';
import type { App, Env } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import {
  BODY,
  json,
  jsonRequest,
  KEYED,
  keyed,
  keyedBody,
  page,
  pageQuery,
  problems,
  queryInteger,
} from '../http/declaration.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { idempotencyHeader, keyedOnce, ONCE } from '../idempotency/declaration.ts';
import { checkRecipe, refuseRecipe, scopesNeeded } from '../inbound/recipes/check.ts';
import { dryRun } from '../inbound/recipes/dry-run.ts';
import {
  listRecipes,
  type RecipeRow,
  type RecipeVersion,
  readRecipe,
  readVersion,
  versionStatements,
} from '../inbound/recipes/store.ts';

const recipeBody = recipeSchema.openapi('Recipe');
const summaryBody = recipeSummarySchema.openapi('RecipeSummary');
const createBody = createRecipeSchema.openapi('CreateRecipe');
const idParams = z.object({ id: randomIdSchema('rcp') });
const tags = ['recipes'];

const create = createRoute({
  ...keyedOnce('recipes:write'),
  method: 'post',
  path: '/v1/recipes',
  tags,
  summary: 'Store a recipe',
  request: { headers: idempotencyHeader, body: jsonRequest(createBody) },
  responses: { 201: json(recipeBody, 'Its first version'), ...problems(...KEYED, ...BODY, ...ONCE) },
});
const list = createRoute({
  ...keyed('recipes:write'),
  method: 'get',
  path: '/v1/recipes',
  tags,
  summary: 'List recipes',
  request: { query: pageQuery },
  responses: { 200: json(page(summaryBody), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('recipes:write'),
  method: 'get',
  path: '/v1/recipes/{id}',
  tags,
  summary: 'Read a recipe',
  request: {
    params: idParams,
    query: z.strictObject({
      version: queryInteger(1, Number.MAX_SAFE_INTEGER).optional().describe('the latest unless named'),
    }),
  },
  responses: { 200: json(recipeBody, 'The version'), ...problems(...KEYED, 'not_found', 'parameter_invalid') },
});
const revise = createRoute({
  ...keyedOnce('recipes:write'),
  method: 'post',
  path: '/v1/recipes/{id}/versions',
  tags,
  summary: 'Store another version of a recipe',
  request: { params: idParams, headers: idempotencyHeader, body: jsonRequest(recipeBodySchema) },
  responses: {
    201: json(recipeBody, 'The new version'),
    ...problems(...KEYED, ...BODY, ...ONCE, 'not_found', 'conflict'),
  },
});
const remove = createRoute({
  ...keyed('recipes:write', 'writes'),
  method: 'delete',
  path: '/v1/recipes/{id}',
  tags,
  summary: 'Delete a recipe that no hook uses',
  request: { params: idParams },
  responses: { 204: { description: 'It is deleted' }, ...problems(...KEYED, 'not_found', 'conflict') },
});
const dry = createRoute({
  ...keyedBody('recipes:write'),
  method: 'post',
  path: '/v1/recipes/{id}/dry-runs',
  tags,
  summary: 'What a delivery would start, without starting it',
  request: { params: idParams, body: jsonRequest(dryRunRequestSchema.openapi('DryRunRequest')) },
  responses: {
    200: json(dryRunSchema.openapi('DryRun'), 'The jobs, or why there are none'),
    ...problems(...KEYED, ...BODY, 'not_found'),
  },
});

const view = (row: RecipeRow, { version, body, created_at }: RecipeVersion) => ({
  id: row.id,
  name: row.name,
  version,
  latest: row.latest,
  scopes: scopesNeeded(body),
  created_at: new Date(created_at).toISOString(),
  ...body,
});

async function holdersOf(env: Env, recipe: string): Promise<{ pointer: string; code: string; detail: string }[]> {
  const { results } = await env.DB.prepare('SELECT id FROM inbound_hooks WHERE recipe = ? LIMIT 100')
    .bind(recipe)
    .all<{ id: string }>();
  return results.map(({ id }) => ({ pointer: '', code: 'in_use', detail: id }));
}

export default function registerRecipes(app: App): void {
  app.openapi(create, async (c) => {
    const { name, ...body } = c.req.valid('json');
    const key = c.get('key');
    checkRecipe(body);
    refuseRecipe(key, body);
    const now = Date.now();
    const row: RecipeRow = { id: randomId('rcp'), tenant: key.tenant, name, latest: 1, created_at: now };
    await audited(
      c.env,
      auditOf(c, 'recipe.create', row.id),
      versionStatements(c.env, row, { body, key: key.id, now }),
    );
    c.header('location', `/v1/recipes/${row.id}`);
    return c.json(view(row, { recipe: row.id, version: 1, body, key: key.id, created_at: now }), 201);
  });

  app.openapi(list, async (c) => {
    const read = (before: Position, limit: number) => listRecipes(c.env, c.get('key').tenant, before, limit);
    const view = ({ id, name, latest, created_at }: RecipeRow) => ({
      id,
      name,
      latest,
      created_at: new Date(created_at).toISOString(),
    });
    return c.json(await pageOf(c, c.req.valid('query'), newestFirst, read, view), 200);
  });

  app.openapi(read, async (c) => {
    const row = await readRecipe(c.env, c.get('key').tenant, c.req.valid('param').id);
    return c.json(view(row, await readVersion(c.env, row, c.req.valid('query').version ?? null)), 200);
  });

  app.openapi(revise, async (c) => {
    const key = c.get('key');
    const body = c.req.valid('json');
    const row = await readRecipe(c.env, key.tenant, c.req.valid('param').id);
    checkRecipe(body);
    refuseRecipe(key, body);
    const now = Date.now();
    const next = { ...row, latest: row.latest + 1 };
    const statements = versionStatements(c.env, next, { body, key: key.id, now });
    await audited(c.env, auditOf(c, 'recipe.revise', row.id), statements).catch((error: unknown) => {
      if (!String(error).includes('UNIQUE constraint failed: recipe_versions')) {
        throw error;
      }
      throw new SextantError('conflict', 'another version was stored at the same time; ask again');
    });
    c.header('location', `/v1/recipes/${row.id}?version=${next.latest}`);
    return c.json(view(next, { recipe: row.id, version: next.latest, body, key: key.id, created_at: now }), 201);
  });

  app.openapi(remove, async (c) => {
    const row = await readRecipe(c.env, c.get('key').tenant, c.req.valid('param').id);
    const errors = await holdersOf(c.env, row.id);
    if (errors.length > 0) {
      throw new SextantError('conflict', `hooks use the recipe: ${errors.map(({ detail }) => detail).join(', ')}`, {
        errors,
      });
    }
    await audited(c.env, auditOf(c, 'recipe.delete', row.id), [
      c.env.DB.prepare('DELETE FROM recipe_versions WHERE recipe = ?').bind(row.id),
      c.env.DB.prepare('DELETE FROM recipes WHERE id = ?').bind(row.id),
    ]);
    return c.body(null, 204);
  });

  app.openapi(dry, async (c) => {
    const { tenant } = c.get('key');
    const row = await readRecipe(c.env, tenant, c.req.valid('param').id);
    return c.json(await dryRun(c.env, tenant, row, c.req.valid('json')), 200);
  });
}
