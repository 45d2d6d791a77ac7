/** `GET /internal/deletions?after=`: blobs that are gone, for workers to drop from their caches. Not part of the public contract. */
import { Hono } from 'hono';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Deletions } from '../../shared/contracts/worker-call.ts';
import { deletionsAfter } from '../artefacts/deletions.ts';
import type { App } from '../environment.ts';
import { type WorkerEnv, workerAccess } from '../workers/access.ts';

export default function registerInternalDeletions(app: App): void {
  const calls = new Hono<WorkerEnv>();
  calls.use('/*', workerAccess);
  calls.get('/', async (c) => {
    const after = c.req.query('after') ?? '0';
    if (!/^\d{1,15}$/.test(after)) {
      throw new SextantError('parameter_invalid', 'after is a cursor of an earlier answer, or 0');
    }
    const answer: Deletions = await deletionsAfter(c.env, Number(after));
    return c.json(answer);
  });
  app.route('/internal/deletions', calls as unknown as App);
}
