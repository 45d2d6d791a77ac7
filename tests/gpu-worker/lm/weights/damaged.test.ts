/** Files with flipped bytes and lengths: a typed refusal or a completed read, and nothing left behind. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { discardFolder, readFolder, readWeight } from '../../../../gpu-worker/lm/weights/folder.ts';
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { stream } from '../../../../shared/math/random.ts';
import { ggufModel } from '../../../support/gguf-model.ts';
import { awq, fp8Blocks, gptq, nf4, packQuantized, quantisedModel } from '../../../support/quantised-model.ts';

/** `DAMAGED=2000` tries more. */
const TRIES = Number(process.env.DAMAGED ?? 240);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));
const CODES = ['weights_invalid', 'model_unsupported', 'tokenizer_mismatch'];

const makers = [
  ...[
    gptq({ actOrder: true }),
    gptq({ bits: 3, group: 32 }),
    awq(),
    packQuantized({ bits: 5 }),
    nf4(),
    fp8Blocks(),
  ].map((layout) => () => quantisedModel(layout)),
  () => ggufModel({ tokens: ['<unk>', '<s>', 'a', 'b', 'ab'] }),
];

describe(`damaged files (seed ${seed})`, () => {
  it.each(makers.map((make, kind) => [kind, make] as const))('of kind %i', (kind, make) => {
    const model = make();
    onTestFinished(model.remove);
    const files = model.path.endsWith('.gguf')
      ? [model.path]
      : ['model.safetensors', 'model.safetensors', 'config.json'].map((name) => join(model.path, name));
    const before = process.resourceUsage().maxRSS;
    let refused = 0;
    const tries = Math.ceil(TRIES / makers.length);
    for (let attempt = 0; attempt < tries; attempt++) {
      const random = stream(seed, `damage ${kind} ${attempt}`);
      const pick = (bound: number) => random.integers(1, bound)[0]!;
      const file = files[attempt % files.length]!;
      const whole = readFileSync(file);
      let bytes = Uint8Array.from(whole);
      const head = Math.min(bytes.length, pick(2) === 0 ? 64 : 6000);
      for (let flips = 1 + pick(4); flips > 0; flips--) {
        bytes[pick(pick(4) === 0 ? bytes.length : head)]! ^= 1 << pick(8);
      }
      if (pick(4) === 0) {
        bytes = bytes.subarray(0, pick(bytes.length));
      }
      writeFileSync(file, bytes);
      try {
        const folder = readFolder(model.path);
        for (const name of folder.stored.keys()) {
          readWeight(folder, name);
        }
        discardFolder(folder);
      } catch (error) {
        refused++;
        if (!(error instanceof SextantError) || !CODES.includes(error.code)) {
          throw error;
        }
      }
      writeFileSync(file, whole);
    }
    // Kibibytes: the models have some hundred of them, and no damaged length may ask for more than that by much.
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(300 * 1024);
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(tries);
  });
});
