/** What a delivery would start: the jobs with their parameters and estimates, or why there would be none. */

import type { DryRun, DryRunRequest } from '../../../shared/contracts/dry-run.ts';
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
