import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { SaeParameters } from '../../gpu-worker/sae/codes/parameters.ts';
import { saeConfiguration } from '../../gpu-worker/sae/training/configuration.ts';
import { DenseTrainer } from '../../gpu-worker/sae/training/dense-trainer.ts';
import { FastTrainer } from '../../gpu-worker/sae/training/fast-trainer.ts';
import type { Trainer } from '../../gpu-worker/sae/training/trainer.ts';
import { readSafetensors } from '../../shared/formats/safetensors.ts';
import { golden, hasGolden } from '../support/guide.ts';

const [STEPS, ROWS, INPUTS, WIDTH] = [25, 32, 16, 64];

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      out[j * rows + i] = values[i * columns + j]!;
    }
  }
  return out;
}

function difference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

describe.skipIf(!hasGolden)('training agrees with PyTorch over 25 steps', () => {
  const file = (name: string) => readSafetensors(readFileSync(golden('sae', `${name}.safetensors`)));
  const complete = (variant: 'relu' | 'jumprelu' | 'topk' | 'abstopk') =>
    saeConfiguration({
      variant,
      inputs: INPUTS,
      width: WIDTH,
      k: 4,
      sparsity: variant === 'relu' ? 0.05 : 0.01,
      bandwidth: 0.2,
      logThreshold: false,
      clipNorm: null,
      beta2: 0.99,
      auxiliaryWeight: 0,
    });

  async function check(
    variant: 'relu' | 'jumprelu' | 'topk' | 'abstopk',
    make: (p: SaeParameters) => Promise<Trainer>,
  ) {
    const [start, expected] = [file('start'), file(variant)];
    const trainer = await make({
      inputs: INPUTS,
      width: WIDTH,
      encoder: transposed(start.float32('w_enc'), INPUTS, WIDTH),
      encoderBias: start.float32('b_enc'),
      decoder: start.float32('w_dec').slice(),
      decoderBias: start.float32('b_dec'),
      threshold: variant === 'jumprelu' ? start.float32('threshold') : null,
    });
    const reports = await trainer.run(start.float32('x').slice(), new Array<number>(STEPS).fill(3e-3));
    const p = await trainer.parameters();
    await trainer.close();
    expect(
      difference(
        Float32Array.from(reports, ({ total }) => total),
        expected.float32('loss'),
      ),
    ).toBeLessThan(2e-5);
    expect(
      difference(
        Float32Array.from(reports, ({ l0 }) => l0),
        expected.float32('l0'),
      ),
    ).toBeLessThan(1e-6);
    expect(difference(p.encoder, transposed(expected.float32('w_enc'), INPUTS, WIDTH))).toBeLessThan(2e-6);
    expect(difference(p.encoderBias, expected.float32('b_enc'))).toBeLessThan(2e-6);
    expect(difference(p.decoder, expected.float32('w_dec'))).toBeLessThan(2e-6);
    expect(difference(p.decoderBias, expected.float32('b_dec'))).toBeLessThan(2e-6);
    if (p.threshold) {
      expect(difference(p.threshold, expected.float32('threshold'))).toBeLessThan(2e-6);
    }
  }

  it.each(['relu', 'jumprelu', 'topk', 'abstopk'] as const)('dense program, %s', (variant) =>
    check(variant, (start) => DenseTrainer.create(complete(variant), ROWS, start, { threads: 1 })),
  );
  it.each(['topk', 'abstopk'] as const)('fast path, %s', (variant) =>
    check(variant, async (start) => new FastTrainer(complete(variant), ROWS, start)),
  );
});
