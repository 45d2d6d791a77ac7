/** `jobs` and `run`: create, follow, cancel. */
import type { Command } from 'commander';
import type { Job, JobFailedError, JobTerms } from '../index.ts';
import { JobFailedError as Failed, ProgressBar, type Sextant } from '../index.ts';
import { type Context, collect, whole } from './context.ts';
import { CommandError } from './exit-status.ts';
import { paramsOf, readied } from './params.ts';

type CreateFlags = {
  param: string[];
  params?: string;
  timeout?: number;
  pool?: string;
  maxCost?: number;
  label: string[];
  idempotencyKey?: string;
  dryRun?: boolean;
};
type FollowFlags = { cancelOnInterrupt?: boolean };

const termsOf = ({ timeout, pool, maxCost, label }: CreateFlags): JobTerms => ({
  ...(timeout === undefined ? {} : { timeout_s: timeout }),
  ...(pool === undefined ? {} : { pool }),
  ...(maxCost === undefined ? {} : { max_cost: maxCost }),
  ...(label.length === 0
    ? {}
    : { labels: Object.fromEntries(label.map((one) => [one.split('=')[0]!, one.slice(one.indexOf('=') + 1)])) }),
});

const creating = (command: Command): Command =>
  command
    .argument('<type>', 'job type, such as sae.train')
    .option('--param <name=value>', 'one of the params; a.b=1 goes inside, @file uploads', collect, [])
    .option('--params <file>', 'all params as JSON; - is standard input')
    .option('--timeout <seconds>', 'running time over all attempts', whole)
    .option('--pool <name>', 'the workers that take it')
    .option('--max-cost <device-seconds>', 'refuse, or stop at, more', Number)
    .option('--label <name=value>', 'a label', collect, [])
    .option('--idempotency-key <key>', 'a repeat under it creates nothing new');

export function addJobs(program: Command, context: Context): void {
  const { output, signal } = context;
  const told = (text: string): void => output.note(text);
  const create = async (type: string, flags: CreateFlags): Promise<Job | null> => {
    const job = await readied(() => context.client(), type, paramsOf(flags.params, flags.param), { signal, told });
    if (flags.dryRun) {
      output.one(await context.client().jobs.estimate(job.type, job.params, { ...termsOf(flags), signal }));
      return null;
    }
    const key = flags.idempotencyKey === undefined ? {} : { idempotencyKey: flags.idempotencyKey };
    return context.client().jobs.create(job.type, job.params, { ...termsOf(flags), ...key, signal });
  };

  const jobs = program.command('jobs').description('create, read, follow and cancel jobs');
  creating(jobs.command('create').description('create a job and return at once'))
    .option('--dry-run', 'what it would cost')
    .action(async (type: string, flags: CreateFlags) => {
      const job = await create(type, flags);
      if (job) {
        output.one(job);
      }
    });
  jobs
    .command('get <id>')
    .description('read a job')
    .action(async (id: string) => output.one(await context.client().jobs.get(id, { signal })));
  jobs
    .command('list')
    .description('list jobs, newest first')
    .option('--type <type>')
    .option('--status <status>', 'queued, running, succeeded, failed or canceled')
    .option('--limit <n>', 'how many at most', whole, 50)
    .action(async ({ limit, ...filters }: { limit: number; type?: never; status?: never }) => {
      const pages = context.client().jobs.list({ ...filters, limit: Math.min(100, Math.max(1, limit)), signal });
      await output.list(first(pages, limit), ['id', 'type', 'status', 'created_at']);
    });
  jobs
    .command('watch <id>')
    .description('follow a job to its end')
    .option('--cancel-on-interrupt', 'cancel it instead of leaving it to go on')
    .action(async (id: string, flags: FollowFlags) => {
      const client = context.client();
      await finish(context, client, await client.jobs.get(id, { signal }), flags, true);
    });
  jobs
    .command('cancel <id>')
    .description('cancel a job that has not ended')
    .action(async (id: string) => output.one(await context.client().jobs.cancel(id, { signal })));

  creating(program.command('run').description('create a job, follow it, print its result'))
    .option('--cancel-on-interrupt', 'cancel it instead of leaving it to go on')
    .action(async (type: string, flags: CreateFlags & FollowFlags) => {
      const job = await create(type, flags);
      if (job) {
        output.note(`${job.id} is created`);
        await finish(context, context.client(), job, flags, false);
      }
    });
}

/** Follows a job; prints its events where asked for and nobody looks, and its result. Interrupted, says how to come back. */
async function finish(context: Context, client: Sextant, job: Job, flags: FollowFlags, events: boolean): Promise<void> {
  const { output, signal } = context;
  const terminal = output.barTerminal;
  const bar = terminal ? new ProgressBar(job.type, terminal) : null;
  try {
    for await (const event of client.jobs.events(job.id, { signal })) {
      if (event.event === 'progress') {
        bar?.update(event.data);
      }
      if (events && !output.forPeople) {
        output.line(event);
      }
    }
    const ended = await client.jobs.get(job.id, { signal });
    bar?.clear();
    if (ended.status !== 'succeeded') {
      throw new Failed(ended) as JobFailedError;
    }
    output.one(output.forPeople ? ended.result : ended);
  } catch (error) {
    bar?.clear();
    if (!signal.aborted) {
      throw error;
    }
    if (flags.cancelOnInterrupt) {
      await client.jobs.cancel(job.id);
      throw new CommandError('canceled', `${job.id} is canceled`);
    }
    throw new CommandError('interrupted', `${job.id} goes on; come back to it by: sextant jobs watch ${job.id}`);
  }
}

/** At most so many of a list. */
export async function* first<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let left = count;
  if (left < 1) {
    return;
  }
  for await (const item of items) {
    yield item;
    left -= 1;
    if (left < 1) {
      return;
    }
  }
}
