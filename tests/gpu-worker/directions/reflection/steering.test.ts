import { afterAll, describe, expect, it } from 'vitest';
import { steered, steeringEdits } from '../../../../gpu-worker/directions/reflection/steering.ts';
import { dot, meanRow, norm } from '../../../../gpu-worker/directions/vectors.ts';
import { generate } from '../../../../gpu-worker/lm/generation/generate.ts';
import { type Intervention, loadModel } from '../../../../gpu-worker/lm/index.ts';
import { stream } from '../../../../shared/math/random.ts';
import { gap, randomRows, TINY, tinyModel } from '../../../support/tiny-model.ts';

const WIDTH = 16;
const vector = stream(1, 'vector').normal(WIDTH, { deviation: 1.7 });
const states = stream(2, 'states').normal(12 * WIDTH);
const size = norm(vector);

describe('steered', () => {
  it('is the same by proj_raw with alpha / |v|^2 as by proj_unit with alpha', () => {
    const unit = steered(states, { mode: 'proj_unit', alpha: 0.7, vector, centre: null });
    expect(gap(unit, steered(states, { mode: 'proj_raw', alpha: 0.7 / size ** 2, vector, centre: null }))).toBeLessThan(
      1e-12,
    );
  });

  it('leaves nothing along the vector by proj_unit with alpha = -1, or the centre where there is one', () => {
    const other = meanRow(states, WIDTH, [1, 5, 6]);
    for (const centre of [null, other]) {
      const left = steered(states, { mode: 'proj_unit', alpha: -1, vector, centre });
      for (let from = 0; from < left.length; from += WIDTH) {
        expect(dot(left.subarray(from, from + WIDTH), vector)).toBeCloseTo(centre ? dot(centre, vector) : 0, 10);
      }
    }
  });

  it('changes nothing by alpha = 0', () => {
    for (const mode of ['proj_unit', 'proj_raw', 'add'] as const) {
      expect(steered(states, { mode, alpha: 0, vector, centre: null })).toEqual(states);
      expect(steeringEdits('resid_post.0', { mode, alpha: 0, vector, centre: null })).toEqual([]);
    }
  });
});

describe('steeringEdits', () => {
  const { folder, remove } = tinyModel(TINY.llama!);
  afterAll(remove);

  it('does in a model what the formula does to its states', async () => {
    const model = await loadModel(folder);
    const ids = randomRows([7]);
    const hook = 'resid_post.1';
    const plain = await model.forward({ ids, taps: [hook], logits: 'none' });
    for (const mode of ['proj_unit', 'proj_raw', 'add'] as const) {
      for (const centre of [null, meanRow(states, WIDTH)]) {
        const settings = { mode, alpha: 0.8, vector, centre };
        const interventions = steeringEdits(hook, settings) as Intervention[];
        const { taps } = await model.forward({ ids, taps: [hook], logits: 'none', interventions });
        expect(gap(taps[hook]!.data, steered(plain.taps[hook]!.data, settings))).toBeLessThan(1e-4);
      }
    }
    await model.release();
  });

  it('generates the same tokens by alpha 0 as without', async () => {
    const model = await loadModel(folder);
    const options = { maxTokens: 8, temperature: 1, seed: 3 };
    const ids = randomRows([5, 3]);
    const edits = steeringEdits('resid_post.0', { mode: 'add', alpha: 0, vector, centre: null });
    expect(await generate(model, ids, { ...options, interventions: edits })).toEqual(
      await generate(model, ids, options),
    );
    await model.release();
  });
});
