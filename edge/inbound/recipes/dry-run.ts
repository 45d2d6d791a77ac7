/** What a delivery would start: the jobs with their parameters and estimates, or why there would be none. */
import { z } from 'zod';
import { inboundEventSchema, providerSchema } from '../../../shared/contracts/inbound.ts';
import { randomIdSchema } from '../../../shared/contracts/manifest.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Step } from '../../../shared/contracts/recipe.ts';
import type { Env } from '../../environment.ts';
import { estimateOf } from '../../jobs/estimation.ts';
import { type Hook, readHook } from '../hooks.ts';
import { INBOUND_PROVIDERS } from '../providers/by-name.ts';
import { judge } from '../reading.ts';
import { contractNamed } from './check.ts';
import { eventFieldsOf, parseReference, replaceReferences, stepsBefore } from './references.ts';
import { itemsOf, resolveReference, type Sources } from './resolve.ts';
import { type RecipeRow, readVersion } from './store.ts';

/** A payload as a provider sends it, with the headers that say what it is, read as a hook with these terms would. */
export const dryRunRequestSchema = z.strictObject({
  version: z.number().int().min(1).optional(),
  hook: randomIdSchema('inh').optional().describe('takes provider, repositories, ref and pointers from this hook'),
  provider: providerSchema.optional(),
  repositories: z.array(z.string().max(200)).max(100).default([]),
  ref: z.string().max(300).default('refs/heads/main'),
  pointers: z
    .strictObject({
      repository: z.string().max(300).nullable().default(null),
      revision: z.string().max(300).nullable().default(null),
    })
    .default({ repository: null, revision: null }),
  headers: z.record(z.string().max(100), z.string().max(1000)).default({}).describe('such as X-GitHub-Event'),
  payload: z.record(z.string(), z.unknown()),
});

export const dryRunSchema = z.object({
  event: inboundEventSchema.nullable(),
  ignored: z.object({ code: z.string(), detail: z.string() }).nullable(),
  version: z.number().int(),
  jobs: z.array(
    z.object({
      step: z.string(),
      type: z.string(),
      needs: z.array(z.string()),
      params: z.record(z.string(), z.unknown()).describe('values that earlier steps will give are left as references'),
      estimate: z
        .object({ device_seconds: z.number(), memory_bytes: z.number(), artefact_bytes: z.number() })
        .nullable()
        .describe('null while it depends on what earlier steps give'),
      error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    }),
  ),
  device_seconds: z.number().describe('sum of the known estimates'),
});
type DryRun = z.infer<typeof dryRunSchema>;
type DryRunRequest = z.infer<typeof dryRunRequestSchema>;

export async function dryRun(env: Env, tenant: string, recipe: RecipeRow, request: DryRunRequest): Promise<DryRun> {
  const hook: Pick<Hook, 'provider' | 'repositories' | 'ref' | 'pointers'> = request.hook
    ? await readHook(env, tenant, request.hook)
    : { ...request, provider: request.provider ?? lacking() };
  const { version, body } = await readVersion(env, recipe, request.version ?? null);
  const presented = {
    url: new URL('https://dry.run/'),
    headers: new Headers({ 'webhook-id': 'dry-run', 'content-type': 'application/json', ...request.headers }),
    body: Uint8Array.from(new TextEncoder().encode(JSON.stringify(request.payload))),
  };
  const none = { version, jobs: [], device_seconds: 0 };
  let reading: ReturnType<typeof judge>;
  try {
    reading = judge(hook, INBOUND_PROVIDERS[hook.provider].read(presented, hook));
  } catch (error) {
    if (!(error instanceof SextantError)) {
      throw error;
    }
    return { ...none, event: null, ignored: { code: error.code, detail: error.message } };
  }
  if ('ignored' in reading) {
    return { ...none, event: null, ignored: reading.ignored };
  }
  const { event } = reading;
  const absent = eventFieldsOf(body).filter((field) => event[field] === null);
  if (absent.length > 0) {
    const detail = `the recipe needs ${absent.join(', ')} of the event, which has none`;
    return { ...none, event, ignored: { code: 'event_incomplete', detail } };
  }
  const sources = { event, step: () => undefined };
  const jobs = (await Promise.all(body.steps.map((step) => jobsOf(env, tenant, step, sources)))).flat();
  const device_seconds = jobs.reduce((sum, { estimate }) => sum + (estimate?.device_seconds ?? 0), 0);
  return { event, ignored: null, version, jobs, device_seconds };
}

const lacking = (): never => {
  throw new SextantError('validation_failed', '/provider: name a provider or a hook');
};

/** The value of a reference where it is known already; the reference itself where a step has to come first. */
const known = (sources: Sources) => (text: string) => {
  const reference = parseReference(text);
  return 'root' in reference && reference.root === 'steps' ? { from: text } : resolveReference(text, sources);
};

async function jobsOf(env: Env, tenant: string, step: Step, sources: Sources): Promise<DryRun['jobs']> {
  const fixed = step.over === undefined || Array.isArray(step.over);
  const items = fixed ? itemsOf(step, sources) : [{ from: (step.over as { from: string }).from }];
  const jobs = items.map(async (item) => {
    const common = { step: step.id, type: step.type, needs: stepsBefore(step) };
    try {
      const params = replaceReferences(step.params, known({ ...sources, item })) as Record<string, unknown>;
      const contract = contractNamed(step.type);
      const parsed = contract?.params.safeParse(params);
      const valid = parsed?.success ? (parsed.data as Record<string, unknown>) : null;
      const estimate = contract && valid ? await estimateOf(env, tenant, contract, valid) : null;
      return { ...common, params, estimate, error: null };
    } catch (error) {
      if (!(error instanceof SextantError)) {
        throw error;
      }
      return { ...common, params: step.params, estimate: null, error: { code: error.code, detail: error.message } };
    }
  });
  return Promise.all(jobs);
}
