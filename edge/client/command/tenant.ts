/** `keys`, `usage`, `audit`: what belongs to the tenant as a whole. */
import type { Command } from 'commander';
import { type Context, collect, whole } from './context.ts';
import { first } from './jobs.ts';

export function addTenant(program: Command, context: Context): void {
  const { output, signal } = context;
  const keys = program.command('keys').description('API keys');
  keys
    .command('create <name>')
    .description('create a key; its text is shown this once')
    .requiredOption('--scope <scope>', 'what it may do; several times', collect, [])
    .option('--expires-in <seconds>', 'its life', whole)
    .action(async (name: string, { scope, expiresIn }: { scope: string[]; expiresIn?: number }) => {
      const life = expiresIn === undefined ? {} : { expires_in_s: expiresIn };
      output.one(await context.client().keys.create({ name, scopes: scope as never, ...life }, { signal }));
    });
  keys
    .command('rotate <id>')
    .description('replace a key by a new one of the same scopes')
    .option('--overlap <seconds>', 'how long the old one keeps working', whole)
    .action(async (id: string, { overlap }: { overlap?: number }) =>
      output.one(
        await context.client().keys.rotate(id, { ...(overlap === undefined ? {} : { overlapS: overlap }), signal }),
      ),
    );
  keys
    .command('revoke <id>')
    .description('revoke a key; takes effect within 30 s')
    .action(async (id: string) => {
      await context.client().keys.revoke(id, { signal });
      output.one({ id, revoked: true });
    });

  program
    .command('usage')
    .description('device seconds by day and key')
    .option('--from <day>', 'YYYY-MM-DD')
    .option('--to <day>', 'YYYY-MM-DD')
    .action(async (days: { from?: string; to?: string }) => {
      const { data } = await context.client().tenant.usage({ ...days, signal });
      await output.list(data, ['day', 'key', 'jobs', 'device_seconds']);
    });
  program
    .command('audit')
    .description('who did what, newest first')
    .option('--action <action>', 'such as key.create')
    .option('--actor <key>', 'id of a key')
    .option('--limit <n>', 'how many at most', whole, 50)
    .action(async ({ limit, ...filters }: { limit: number; action?: string; actor?: string }) => {
      const pages = context.client().tenant.audit({ ...filters, signal });
      await output.list(first(pages, limit), ['seq', 'at', 'actor', 'action', 'target', 'outcome']);
    });
}
