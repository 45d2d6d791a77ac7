/** The texts of a generation, also where a job's result could not hold them all. */
import type { Job } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import type lmGenerate from '../../shared/jobs/lm.generate.ts';
import { blobKey } from '../artefacts/addresses.ts';
import type { Env } from '../environment.ts';

export type Generated = ResultOf<typeof lmGenerate>;
type Text = Generated['runs'][number]['texts'][number];

/** The result of a job that succeeded, with every text of every run. @throws SextantError `not_found` where its file has been deleted */
export async function wholeResult(env: Env, tenant: string, job: Job): Promise<Generated> {
  const result = job.result as Generated;
  if (result.texts_file === null) {
    return result;
  }
  const file = job.artefacts.find(({ name }) => name === result.texts_file);
  const object = file ? await env.R2.get(blobKey(tenant, file.sha256)) : null;
  if (!object) {
    throw new SextantError('not_found', `the texts of ${job.id} have been deleted`);
  }
  const lines = (await object.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Text & { run: number });
  return {
    ...result,
    runs: result.runs.map(({ label }, at) => ({ label, texts: lines.filter(({ run }) => run === at) })),
  };
}
