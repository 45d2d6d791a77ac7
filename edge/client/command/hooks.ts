/** `recipes`, `hooks` and `endpoints`: what comes in, what it starts, who is told. */
import type { Command } from 'commander';
import { type Context, whole } from './context.ts';
import { CommandError } from './exit-status.ts';
import { first } from './jobs.ts';
import { readJson } from './params.ts';

export function addHooks(program: Command, context: Context): void {
  const { output, signal } = context;
  const recipes = program.command('recipes').description('what an event starts');
  recipes
    .command('check <file>')
    .description('check a recipe by its contract; nothing is sent')
    .action(async (file: string) => {
      const { createRecipeSchema, recipeBodySchema } = await import('../../../shared/contracts/recipe.ts');
      const recipe = readJson(file);
      const named = typeof recipe === 'object' && recipe !== null && 'name' in recipe;
      const found = (named ? createRecipeSchema : recipeBodySchema).safeParse(recipe);
      if (!found.success) {
        const issues = found.error.issues.map(({ path, message }) => `\n  ${path.join('.') || '(whole)'}: ${message}`);
        throw new CommandError('usage', `${file} is no recipe:${issues.join('')}`);
      }
      output.one({ file, steps: found.data.steps.length, fits: true });
    });
  recipes
    .command('dry-run <id> <payload>')
    .description('what a delivery would start, without starting it')
    .option('--hook <id>', 'read the payload as this hook does')
    .option('--provider <name>', 'or as this provider sends it')
    .option('--recipe-version <n>', 'the latest unless named', whole)
    .action(async (id: string, file: string, flags: { hook?: string; provider?: 'github'; recipeVersion?: number }) => {
      const { recipeVersion, ...rest } = flags;
      const payload = readJson(file) as Record<string, unknown>;
      const version = recipeVersion === undefined ? {} : { version: recipeVersion };
      output.one(await context.client().recipes.dryRun(id, { payload, ...rest, ...version }, { signal }));
    });

  const hooks = program.command('hooks').description('inbound hooks');
  hooks
    .command('deliveries <hook>')
    .description('what came in, refused deliveries with the reason')
    .option('--limit <n>', 'how many at most', whole, 50)
    .action(async (hook: string, { limit }: { limit: number }) => {
      const pages = context.client().inboundHooks.deliveries(hook, { signal });
      await output.list(first(pages, limit), ['id', 'at', 'outcome', 'code', 'run']);
    });
  hooks
    .command('replay <hook> <delivery>')
    .description('run an accepted delivery again')
    .action(async (hook: string, delivery: string) =>
      output.one(await context.client().inboundHooks.replay(hook, delivery, { signal })),
    );

  const endpoints = program.command('endpoints').description('webhook endpoints');
  endpoints
    .command('test <endpoint>')
    .description('send the event endpoint.test')
    .action(async (endpoint: string) => output.one(await context.client().webhookEndpoints.test(endpoint, { signal })));
  endpoints
    .command('deliveries <endpoint>')
    .description('deliveries and their attempts')
    .option('--limit <n>', 'how many at most', whole, 50)
    .action(async (endpoint: string, { limit }: { limit: number }) => {
      const pages = context.client().webhookEndpoints.deliveries(endpoint, { signal });
      await output.list(first(pages, limit), ['id', 'type', 'created_at', 'state']);
    });
  endpoints
    .command('redeliver <endpoint> <delivery>')
    .description('send a delivery again, under the same webhook-id')
    .action(async (endpoint: string, delivery: string) => {
      await context.client().webhookEndpoints.redeliver(endpoint, delivery, { signal });
      output.one({ endpoint, delivery, queued: true });
    });
}
