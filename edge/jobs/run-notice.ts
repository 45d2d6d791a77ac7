/** Tells the run that waits for a job of its end. */
import type { Env } from '../environment.ts';

/** Runs lie above jobs: of their object, this call alone is known here. */
export async function tellRun(env: Env, run: string, job: string): Promise<void> {
  const object = env.RUN.getByName(run) as unknown as { jobEnded(job: string): Promise<void> };
  await object.jobEnded(job);
}
