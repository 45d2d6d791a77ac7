/** What became of the job underneath a request. */
import type { Job } from '../../shared/contracts/job.ts';
import { PROBLEMS, type ProblemCode, SextantError } from '../../shared/contracts/problem.ts';

const isProblem = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/** The job, which has succeeded. @throws SextantError what it failed with; `unavailable` where that was no fault of the request */
export function succeeded(job: Job): Job {
  if (job.status === 'succeeded') {
    return job;
  }
  if (!job.error) {
    throw new SextantError('unavailable', `the job ${job.id} was ${job.status}`);
  }
  const { code, detail, errors } = job.error;
  const own = errors?.map((error) => ({ ...error, pointer: error.pointer.replace(/^\/params(?=\/)/, '') }));
  throw new SextantError(isProblem(code) && code !== 'internal' ? code : 'unavailable', detail, { errors: own });
}
