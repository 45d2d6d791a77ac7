/** Plays a worker: claims a job from its ledger and completes or fails it. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { unwrap } from '../../../edge/jobs/answer.ts';
import { ledgerOf } from '../../../edge/jobs/ledger-of.ts';
import { randomId } from '../../../shared/signing/digest.ts';

/** Claims the job; answers who holds it now. */
export async function claimJob(id: string): Promise<{ worker: string; fence: string }> {
  const [row] = await runInDurableObject(env.LEDGER.getByName(id), (_, state) =>
    state.storage.sql.exec<{ id: string }>('SELECT id FROM dispatches').toArray(),
  );
  const worker = randomId('wkr');
  const { fence } = unwrap(await ledgerOf(env, id).claim(worker, String(row?.id)));
  return { worker, fence };
}

export async function completeJob(id: string, result: Record<string, unknown>): Promise<void> {
  const by = await claimJob(id);
  const outcome = {
    result,
    result_digest: 'd'.repeat(64),
    metrics: {},
    run: { device: 'test', dtype: 'float32', seed: null, tolerance: null, versions: {}, wall_s: 0, peak_rss_bytes: 0 },
    artefacts: [],
    published: [],
  };
  unwrap(await ledgerOf(env, id).complete(by, { outcome, published: [], models: [] }));
}

export async function failJob(id: string, code = 'data_invalid'): Promise<void> {
  unwrap(
    await ledgerOf(env, id).fail(await claimJob(id), { code, detail: 'as the test wants it' }, { retryable: false }),
  );
}
