/** The life of a run as pure functions: which steps can begin, which are skipped, when all is over. Times in ms. */
import type { RecipeBody } from '../../../shared/contracts/recipe.ts';
import type { RunStatus, StepError, StepStatus } from '../../../shared/contracts/run.ts';
import { stepsBefore } from '../recipes/references.ts';

export type StepState = { id: string; status: StepStatus; error: StepError | null };

export const newSteps = ({ steps }: RecipeBody): StepState[] =>
  steps.map(({ id }) => ({ id, status: 'waiting', error: null }));

export const hasEnded = (status: StepStatus): boolean => status !== 'waiting' && status !== 'running';

/** The steps after those that can never begin were skipped, and the ids of those that can begin now. */
export function plan(body: RecipeBody, steps: readonly StepState[]): { steps: StepState[]; ready: string[] } {
  const state = new Map(steps.map((step) => [step.id, step]));
  const ready: string[] = [];
  for (let changed = true; changed; ) {
    changed = false;
    ready.length = 0;
    for (const step of body.steps) {
      const own = state.get(step.id);
      if (own?.status !== 'waiting') {
        continue;
      }
      const before = stepsBefore(step).map((id) => state.get(id));
      const dead = before.find((one) => one && hasEnded(one.status) && one.status !== 'succeeded');
      if (dead) {
        const error = {
          code: 'step_skipped',
          detail: `the step ${dead.id} was ${dead.status === 'failed' ? 'not successful' : dead.status}`,
        };
        state.set(step.id, { ...own, status: 'skipped', error });
        changed = true;
      } else if (before.every((one) => one?.status === 'succeeded')) {
        ready.push(step.id);
      }
    }
  }
  return { steps: steps.map(({ id }) => state.get(id) as StepState), ready };
}

/** What a step's jobs make of it; null while one of them goes on. */
export function stepEnd(
  jobs: readonly { status: string; error: StepError | null }[],
): { status: 'succeeded' | 'failed' | 'canceled'; error: StepError | null } | null {
  if (jobs.some(({ status }) => !['succeeded', 'failed', 'canceled'].includes(status))) {
    return null;
  }
  const failed = jobs.filter(({ status }) => status !== 'succeeded');
  const [first] = failed;
  if (!first) {
    return { status: 'succeeded', error: null };
  }
  const detail =
    jobs.length === 1
      ? (first.error?.detail ?? `the job was ${first.status}`)
      : `${failed.length} of ${jobs.length} jobs did not succeed; the first: ${first.error?.detail ?? first.status}`;
  const status = failed.every((job) => job.status === 'canceled') ? 'canceled' : 'failed';
  return { status, error: { code: first.error?.code ?? `job_${first.status}`, detail } };
}

/** How the run ended; null while a step goes on. */
export function runEnd(steps: readonly StepState[]): RunStatus | null {
  if (!steps.every(({ status }) => hasEnded(status))) {
    return null;
  }
  return steps.every(({ status }) => status === 'succeeded') ? 'succeeded' : 'failed';
}
