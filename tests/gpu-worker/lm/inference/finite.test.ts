/** A value that is no number is found at the first hook point where it appears, in every family. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import { loadModel } from '../../../../gpu-worker/lm/inference/model.ts';
import { headerLength, parseHeader } from '../../../../shared/formats/safetensors-header.ts';
import type { ModelWeights } from '../../../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../../../shared/models/describe.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { TINY, tinyModel } from '../../../support/tiny-model.ts';

const IDS = [
  [1, 7, 9, 3],
  [1, 4],
];

function plant(folder: string, weight: string, value: number): void {
  const file = join(folder, 'model.safetensors');
  const bytes = readFileSync(file);
  const header = parseHeader(bytes.subarray(8, 8 + headerLength(bytes, bytes.length)), bytes.length);
  const { begin, end } = header.tensors.get(weight) ?? expect.fail(`no weight ${weight}`);
  for (let at = begin; at < end; at += 4) {
    bytes.writeFloatLE(value, at);
  }
  writeFileSync(file, bytes);
}

const PLANTED: [what: string, of: (weights: ModelWeights) => string, message: RegExp][] = [
  ['an embedding', ({ embedding }) => embedding.name, /'resid_pre\.0', in layer 0/],
  ['an output projection', ({ layers }) => layers[1]?.output.weight.name ?? '', /'attn_out\.1', in layer 1/],
  [
    'a gate or up projection',
    ({ layers }) => layers[0]?.up?.weight.name ?? layers[0]?.experts?.router.weight.name ?? '',
    /'(mlp_act|router)\.0', in layer 0/,
  ],
  [
    'a down projection',
    ({ layers }) => layers[1]?.down?.weight.name ?? layers[1]?.experts?.each[0]?.down.weight.name ?? '',
    /'mlp_out\.1', in layer 1/,
  ],
  [
    'a final norm',
    ({ finalNorm }) => finalNorm.weight.name,
    /a logit .* behind the last hook point 'resid_post\.1' of layer 1/,
  ],
];

describe.each(Object.entries(TINY))('in a %s', (_family, config) => {
  it.each(PLANTED)('NaN in %s is named by where it comes out', async (_what, of, message) => {
    const a = parseArchitecture(config);
    const { folder, remove } = tinyModel(config);
    plant(folder, of(familyOf(a.family).weights(a)), Number.NaN);
    const model = await loadModel(folder, { threads: 1 });
    const refused = { code: 'not_finite', message: expect.stringMatching(message) };
    await expect(model.forward({ ids: IDS, losses: true })).rejects.toMatchObject(refused);
    await expect(generate(model, IDS, { maxTokens: 2 })).rejects.toMatchObject(refused);
    await model.release();
    remove();
  });
});

describe('what is put into a model', () => {
  it('is named where it is too large', async () => {
    const model = await openTiny(TINY.llama ?? {});
    const vector = new Float32Array(16).fill(1e30);
    const interventions = [{ kind: 'add', hook: 'resid_mid.1', vector, strength: 1e20 }] as const;
    const refused = { code: 'not_finite', message: expect.stringMatching(/'resid_mid\.1', in layer 1/) };
    await expect(model.forward({ ids: IDS, interventions })).rejects.toMatchObject(refused);
    await expect(generate(model, IDS, { interventions, maxTokens: 2 })).rejects.toMatchObject(refused);
  });

  it('and numbers pass', async () => {
    const model = await openTiny(TINY.llama ?? {});
    const interventions = [{ kind: 'add', hook: 'resid_mid.1', vector: new Float32Array(16).fill(1) }] as const;
    const { logits } = await model.forward({ ids: IDS, interventions });
    expect(logits?.data.length).toBe(2 * 4 * 61);
  });
});
