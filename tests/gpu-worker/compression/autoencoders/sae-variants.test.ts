/** What makes a comparison of autoencoders void must be caught; and bound (3) holds for ReLU codes. */
import { describe, expect, it } from 'vitest';
import { errorBound, spectralNorm } from '../../../../gpu-worker/compression/autoencoders/error-bound.ts';
import { latentDrift } from '../../../../gpu-worker/compression/autoencoders/latent-drift.ts';
import {
  requireMatchedL0,
  requireOneModel,
  type VariantScores,
} from '../../../../gpu-worker/compression/autoencoders/sae-variants.ts';
import { Encoder, encodeActivations, reconstruct, type TrainedSae } from '../../../../gpu-worker/sae/index.ts';
import { stream } from '../../../../shared/math/random.ts';

const scores = (variant: string, loss_without: number) => ({ variant, loss_without }) as VariantScores;

describe('a comparison', () => {
  it('fails where variants were scored on different models', () => {
    expect(() => requireOneModel([scores('transferred', 3.84), scores('pruned', 3.568)])).toThrow(
      /not scored on one model/,
    );
    expect(() => requireOneModel([scores('transferred', 3.84), scores('pruned', 3.84)])).not.toThrow();
  });

  it('fails where the L0 of the retrained autoencoder is over 10 % off', () => {
    expect(() => requireMatchedL0(32, 36, '/copies/0')).toThrow(/^\/copies\/0: L0 36.00/);
    expect(() => requireMatchedL0(32, 28, '/copies/0')).toThrow(/more than 10 %/);
    expect(() => requireMatchedL0(32, 35, '/copies/0')).not.toThrow();
  });
});

describe('bound (3)', () => {
  it('holds for random ReLU autoencoders and shifts, and is loose', async () => {
    const encoder = new Encoder({ threads: 1 });
    const ratios: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const normal = (name: string, count: number, deviation = 1) =>
        Float32Array.from(stream(seed, name).normal(count, { deviation }));
      const [inputs, width, rows] = [12, 30, 200];
      const sae: TrainedSae = {
        variant: 'relu',
        k: null,
        subtractBias: false,
        parameters: {
          inputs,
          width,
          encoder: normal('encoder', width * inputs, 0.3),
          encoderBias: normal('bias', width, 0.1),
          decoder: normal('decoder', width * inputs, 0.3),
          decoderBias: new Float32Array(inputs),
          threshold: null,
        },
      };
      const x = normal('x', rows * inputs);
      const shift = normal('shift', rows * inputs, 0.2);
      const y = x.map((value, i) => value + shift[i]!);
      const through = async (values: Float32Array) => reconstruct(sae, await encodeActivations(sae, values, encoder));
      const { holds, bound, error } = errorBound(sae, x, await through(x), y, await through(y));
      expect([seed, holds]).toEqual([seed, true]);
      ratios.push(bound / error);
    }
    await encoder.release();
    expect(Math.min(...ratios)).toBeGreaterThan(2);
  });

  it('has the spectral norm of a known matrix', () => {
    expect(spectralNorm(Float32Array.of(3, 0, 0, 4, 0, 0), 2)).toBeCloseTo(4, 5);
  });
});

it('drift names what died and which latent took over', () => {
  const rows = 40;
  const codes = (of: (row: number) => [latent: number, value: number][]) => {
    const lists = Array.from({ length: rows }, (_, row) => of(row));
    const starts = Int32Array.from({ length: rows + 1 }, (_, i) => lists.slice(0, i).reduce((n, l) => n + l.length, 0));
    return {
      rows,
      starts,
      latents: Int32Array.from(lists.flat(), ([latent]) => latent),
      values: Float32Array.from(lists.flat(), ([, value]) => value),
    };
  };
  const before = codes((row) => [...(row % 4 === 0 ? [[0, 1 + row] as [number, number]] : []), [1, row % 5]]);
  const after = codes((row) => [...(row % 4 === 0 ? [[2, 1 + row] as [number, number]] : []), [1, row % 5]]);
  const drift = latentDrift(before, after, 3, (row) => `t${row}`);
  expect(drift).toMatchObject({ alive: 2, died: 1, survival: 0.5 });
  expect(drift.drifted).toMatchObject([{ latent: 0, fate: 'died', taken_over_by: 2, tokens_after: [] }]);
  expect(drift.drifted[0]!.tokens_before[0]).toBe('t36');
});
