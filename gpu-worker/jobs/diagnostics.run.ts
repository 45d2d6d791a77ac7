/** Handler of `diagnostics.run`: takes time and memory as asked, fails as asked, leaves random bytes and checkpoints behind. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { SextantError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/diagnostics.run.ts';
import { sha256Hex } from '../../shared/signing/digest.ts';
import { BackgroundSaves } from '../study/index.ts';
import { handle } from './handler.ts';

/** Steps that were done. */
const stateSchema = z.object({ step: z.number().int().nonnegative() });

export default handle(contract, async ({ params, progress, artefact, checkpoint }) => {
  const held: Buffer[] = [];
  const saves = new BackgroundSaves(checkpoint);
  const resumed = stateSchema.safeParse(checkpoint.last?.state).data?.step ?? 0;
  for (let step = resumed + 1; step <= params.steps; step += 1) {
    if (step === params.fail_at) {
      failAs(params.fail_as, step);
    }
    const share = Math.floor(params.allocate_bytes / params.steps);
    // filled, since untouched pages take no memory
    if (share > 0) {
      held.push(Buffer.alloc(share, 1));
    }
    if (params.busy) {
      spin(params.step_ms);
    } else {
      await sleep(params.step_ms);
    }
    progress({
      fraction: step / params.steps,
      stage: 'stepping',
      metrics: { step, rss_bytes: process.memoryUsage.rss() },
    });
    if (step < params.steps && saves.due) {
      void saves.begin({ step }, []);
    }
  }
  const artefact_digests: string[] = [];
  for (let i = 0; i < params.artefacts; i += 1) {
    const blob = await artefact(
      `bytes-${i}.bin`,
      'application/octet-stream',
      await seededBytes(params.artefact_bytes, `${params.seed}:${i}`),
    );
    artefact_digests.push(blob.sha256);
  }
  return {
    result: { steps: params.steps, padding_length: params.padding.length, artefact_digests },
    published: [],
    metrics: { held_bytes: held.reduce((sum, buffer) => sum + buffer.length, 0), steps_resumed: resumed },
    run: { device: 'cpu', dtype: 'none', seed: params.seed, tolerance: null },
  };
});

function failAs(kind: 'retryable' | 'permanent' | 'crash', step: number): void {
  if (kind === 'crash') {
    process.kill(process.pid, 'SIGKILL');
  }
  if (kind === 'retryable') {
    throw new Error(`failed at step ${step}, as asked`);
  }
  throw new SextantError('data_invalid', `failed for good at step ${step}, as asked`);
}

function spin(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until) {}
}

/** Bytes that look random and depend on the seed alone: sha-256 in counter mode, repeated after 64 KiB. */
async function seededBytes(length: number, seed: string): Promise<Uint8Array> {
  const block: string[] = [];
  for (let i = 0; i < Math.min(2048, Math.ceil(length / 32)); i += 1) {
    block.push(await sha256Hex(`${seed}:${i}`));
  }
  const pattern = Buffer.from(block.join(''), 'hex');
  return length === 0 ? new Uint8Array(0) : Buffer.alloc(length, pattern);
}
