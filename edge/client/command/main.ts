#!/usr/bin/env node
/** The command `sextant`. */
import { Command, CommanderError } from 'commander';
import { Context } from './context.ts';
import { EXIT, endingOf, messageOf } from './exit-status.ts';
import { addHooks } from './hooks.ts';
import { addJobs } from './jobs.ts';
import { addResults } from './results.ts';
import { addTenant } from './tenant.ts';

const ENDINGS = `
Exit status: 0 done, 1 job failed, 2 usage, 3 key or scope, 4 not found, 5 limit, 6 network, 7 canceled, 8 interrupted.
The key comes from SEXTANT_KEY, or from the file SEXTANT_KEY_FILE (~/.config/sextant/key), which only you may read.`;

async function main(args: readonly string[]): Promise<number> {
  const interrupted = new AbortController();
  let program = new Command();
  const context = new Context(() => program, process.env, interrupted.signal);
  program = program
    .name('sextant')
    .description('Finds, measures and corrects directions inside models.')
    .option('--url <address>', 'where the service is (SEXTANT_URL; http://127.0.0.1:8787)')
    .option('--json', 'JSON lines, on a terminal too')
    .option('--quiet', 'no notes and no bar')
    .addHelpText('after', ENDINGS)
    .exitOverride()
    .hook('preAction', () => context.output.configure(program.opts()));
  addJobs(program, context);
  addResults(program, context);
  addHooks(program, context);
  addTenant(program, context);
  const overriding = (command: Command): void => {
    for (const sub of command.commands) {
      sub.exitOverride();
      overriding(sub);
    }
  };
  overriding(program);
  // the second one ends the process at once, as it would without this
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  // whoever reads may stop: `sextant jobs list | head -1`
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : EXIT.usage));
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) {
      // help was asked for, or commander has said what is wrong
      return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    }
    if (interrupted.signal.aborted && error === interrupted.signal.reason) {
      context.output.error('interrupted');
      return EXIT.interrupted;
    }
    context.output.error(messageOf(error));
    return EXIT[endingOf(error)];
  }
}

process.exitCode = await main(process.argv.slice(2));
