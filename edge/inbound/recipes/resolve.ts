/** The values that references stand for, once they are there. */
import type { InboundEvent } from '../../../shared/contracts/inbound.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { MOST_JOBS, type Step } from '../../../shared/contracts/recipe.ts';
import { valueIn } from './paths.ts';
import { parseReference, replaceReferences } from './references.ts';

/** What one job of a step left behind. */
export type JobOutcome = {
  result: unknown;
  artefacts: string[];
  published: { kind: string; id: string }[];
};
/** A step that succeeded: its jobs in order; `fanned` where it had a list. */
type StepOutcome = { fanned: boolean; jobs: JobOutcome[] };
export type Sources = {
  event: InboundEvent;
  step(id: string): StepOutcome | undefined;
  item?: unknown;
};

const ofJob = (job: JobOutcome, part: 'result' | 'artefacts' | 'published', path: readonly string[]): unknown => {
  if (part === 'result') {
    return valueIn(job.result, path);
  }
  if (part === 'artefacts') {
    return path[0] === undefined ? job.artefacts : job.artefacts[Number(path[0])];
  }
  const [kind, place] = path;
  const byPlace = kind !== undefined && /^\d+$/.test(kind);
  const ids = job.published.filter((one) => kind === undefined || byPlace || one.kind === kind).map(({ id }) => id);
  const index = byPlace ? kind : place;
  return index === undefined ? ids : ids[Number(index)];
};

/** The value of a reference. Raises `reference_unresolved` where there is none. */
export function resolveReference(text: string, sources: Sources): unknown {
  const reference = parseReference(text);
  const missing = (what: string) => new SextantError('reference_unresolved', `${text}: ${what}`);
  if ('fault' in reference) {
    throw missing(reference.fault);
  }
  if (reference.root === 'event') {
    const value = sources.event[reference.field];
    if (value === null) {
      throw missing(`this event has no ${reference.field}`);
    }
    return value;
  }
  if (reference.root === 'item') {
    const value = valueIn(sources.item, reference.path);
    if (value === undefined) {
      throw missing('the entry has no such value');
    }
    return value;
  }
  const step = sources.step(reference.step);
  if (!step) {
    throw missing(`the step ${reference.step} has no result`);
  }
  const values = step.jobs.map((job) => {
    const value = ofJob(job, reference.part, reference.path);
    if (value === undefined || value === null) {
      throw missing('the job left no such value');
    }
    return value;
  });
  // ids of a list's jobs are one list; other values stand side by side
  if (!step.fanned) {
    return values[0];
  }
  return reference.part !== 'result' && values.every(Array.isArray) ? values.flat() : values;
}

export const resolveParams = (step: Step, sources: Sources): Record<string, unknown> =>
  replaceReferences(step.params, (text) => resolveReference(text, sources)) as Record<string, unknown>;

/** The entries that a step goes over; one without a value where it goes over nothing. Raises `reference_unresolved`. */
export function itemsOf(step: Step, sources: Sources): unknown[] {
  if (step.over === undefined) {
    return [undefined];
  }
  if (Array.isArray(step.over)) {
    return step.over;
  }
  const items = resolveReference(step.over.from, sources);
  if (!Array.isArray(items)) {
    throw new SextantError('reference_unresolved', `over: ${step.over.from} is no list`);
  }
  if (items.length === 0 || items.length > MOST_JOBS) {
    throw new SextantError(
      'reference_unresolved',
      `over: ${step.over.from} has ${items.length} entries; a step takes 1 to ${MOST_JOBS}`,
    );
  }
  return items;
}
