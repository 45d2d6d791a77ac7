import { describe, expect, it } from 'vitest';
import { activations } from '../../../../gpu-worker/lm/inference/activations.ts';
import { stream } from '../../../../shared/math/random.ts';
import { activationRows } from '../../../support/activation-rows.ts';
import { openTiny } from '../../../support/open-tiny.ts';
import { gap, randomRows, TINY } from '../../../support/tiny-model.ts';

const ROWS = randomRows([9, 9, 4, 7, 9]);
const HOOKS = ['resid_post.0', 'mlp_act.1'];

describe('a stream of activations', () => {
  it('holds what single passes hold, and says whose it is', async () => {
    const model = await openTiny(TINY.llama!);
    for (const batch of [1, 2, 3]) {
      let count = 0;
      for await (const block of activations(model, ROWS, { hooks: HOOKS, batch })) {
        for (let i = 0; i < block.count; i++) {
          const row = ROWS[block.sequences[i]!]!;
          expect(block.tokens[i]).toBe(row[block.positions[i]!]);
          count++;
          if (i % 5 > 0) {
            continue;
          }
          const { taps } = await model.forward({ ids: [row], taps: HOOKS, logits: 'none' });
          for (const hook of HOOKS) {
            const width = model.widthAt(hook)!;
            const alone = taps[hook]!.data.subarray(block.positions[i]! * width, (block.positions[i]! + 1) * width);
            expect(gap(block.values[hook]!.subarray(i * width, (i + 1) * width), alone)).toBeLessThan(2e-5);
          }
        }
      }
      expect(count).toBe(38);
    }
  });

  it('leaves out what is not kept, and refuses to be empty', async () => {
    const model = await openTiny(TINY.llama!);
    const kept: number[] = [];
    for await (const { positions } of activations(model, ROWS, { hooks: HOOKS, keep: (_, position) => position > 6 })) {
      kept.push(...positions);
    }
    expect(kept).toEqual([7, 8, 7, 8, 7, 8]);
    const none = activations(model, ROWS, { hooks: HOOKS, keep: () => false });
    await expect(none.next()).rejects.toMatchObject({ code: 'data_invalid' });
    const patterns = activations(model, ROWS, { hooks: ['attn_pattern.0'] });
    await expect(patterns.next()).rejects.toMatchObject({ code: 'hook_unknown' });
  });

  it('comes as blocks of equal size, every vector once, shuffled or in order', async () => {
    const model = await openTiny(TINY.llama!);
    const vectors = async (buffer: number) => {
      const random = stream(2, 'rows');
      let draws = 0;
      const blocks: Float32Array[] = [];
      const options = {
        hook: 'resid_post.0',
        rows: 8,
        batch: 2,
        buffer,
        random: (bound: number) => Math.floor(random.uniform(1, { start: draws++ })[0]! * bound),
      };
      for await (const block of activationRows(model, ROWS, options)) {
        blocks.push(block);
      }
      expect(blocks.map((block) => block.length / 16)).toEqual([8, 8, 8, 8, 6]);
      return blocks.flatMap((block) =>
        Array.from({ length: block.length / 16 }, (_, i) => block.subarray(i * 16, (i + 1) * 16).join()),
      );
    };
    const [ordered, mixed] = [await vectors(0), await vectors(20)];
    expect(mixed).not.toEqual(ordered);
    expect([...mixed].sort()).toEqual([...ordered].sort());
  });
});
