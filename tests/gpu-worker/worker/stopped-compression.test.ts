import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { Computations } from '../../../gpu-worker/worker/computations.ts';
import modelCompress from '../../../shared/jobs/model.compress.ts';
import { TINY, tinyModel } from '../../support/tiny-model.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';

it('stops a compression between two blocks, and leaves no model behind', async () => {
  const tiny = tinyModel({ ...TINY.llama!, num_hidden_layers: 12 }, { tokenizer: wordTokenizer() });
  const folder = mkdtempSync(join(tmpdir(), 'sextant-stopped-'));
  const cache = join(folder, 'cache');
  const computations = new Computations({
    scratch: join(folder, 'processes'),
    cache,
    memory_limit_bytes: 4e9,
    output: () => {},
  });
  onTestFinished(async () => {
    await computations.close();
    tiny.remove();
    rmSync(folder, { recursive: true });
  });
  const scratch = join(folder, 'scratch');
  mkdirSync(scratch);
  const texts = Array.from({ length: 400 }, (_, i) =>
    Array.from({ length: 24 }, (_, j) => `w${2 + ((7 * i + j) % 40)}`).join(' '),
  );
  const params = { model: { local: 'tiny' }, corpus: { texts }, context: 16, tokens: 4096, held_out_tokens: 64 };
  const computation = computations.start(
    {
      type: modelCompress.type,
      params: modelCompress.params.parse({ ...params, method: 'sparsegpt', share: 0.5 }),
      inputs: [],
      checkpoint: null,
      owner: 'someone',
      followed: false,
      scratch,
      memory: join(folder, 'memory'),
      configuration: {
        device: 'cpu',
        threads: 1,
        models: { tiny: tiny.folder },
        corpora: {},
        hubs: {},
        cache,
        memory_limit_bytes: 4e9,
      },
    },
    { keep: async () => true, tokens() {} },
  );
  let ended = false;
  void computation.ended.then(() => {
    ended = true;
  });
  let progress = computation.takeProgress();
  while (!progress && !ended) {
    await sleep(5);
    progress = computation.takeProgress();
  }
  expect(progress?.metrics).toMatchObject({ of: 12 });
  expect(progress!.metrics.blocks).toBeLessThan(12);
  expect(progress!.metrics.tokens_per_s).toBeGreaterThan(0);
  expect(progress!.metrics.seconds_left).toBeGreaterThan(0);
  computation.stop('cancelled');
  expect(await computation.ended).toEqual({ kind: 'stopped', reason: 'cancelled' });
  expect(existsSync(join(scratch, 'compressed', 'model.safetensors.index.json'))).toBe(false);
});
