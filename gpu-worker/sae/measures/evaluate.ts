/** Applying a trained autoencoder to activations, and its measures. */

import type { SaeVariant } from '../../../shared/models/sae-variants.ts';
import { centred, Encoder } from '../codes/encoder.ts';
import { type ForeignCode, foreignCodes } from '../codes/foreign-codes.ts';
import { type Normalisation, normalised } from '../codes/normalisation.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { type Pursuit, pursuitCodes } from '../codes/pursuit.ts';
import { decodeCodes, type SparseCodes } from '../codes/sparse-codes.ts';
import { unrolledCodes } from '../codes/unrolled.ts';
import { VARIANTS } from '../codes/variants.ts';
import { type DecoderCosines, decoderCosines } from './decoder-cosines.ts';
import { MetricsAccumulator, type ReconstructionMetrics } from './metrics.ts';

/** A trained autoencoder ready to be applied. */
export type TrainedSae = {
  variant: SaeVariant;
  k: number | null;
  subtractBias: boolean;
  parameters: SaeParameters;
  /** Proximal-gradient steps of the encoder and their size; 1 for the usual autoencoder. */
  iterations?: number;
  iterationStep?: number;
  /** A code of another library that no variant has, in place of the variant's. */
  code?: ForeignCode;
  /** Codes by matching pursuit, in place of the variant's: encoder and decoder are one matrix. */
  pursuit?: Pursuit;
  /** What is done to each activation before encoding, and undone after decoding. */
  normalisation?: Normalisation;
};

/** Codes of rows x inputs activations. */
export async function encodeActivations(sae: TrainedSae, x: Float32Array, encoder: Encoder): Promise<SparseCodes> {
  if (!sae.normalisation) {
    return encodeAsGiven(sae, x, encoder);
  }
  const { x: seen, frame } = normalised(x, sae.parameters.inputs, sae.normalisation);
  return { ...(await encodeAsGiven(sae, seen, encoder)), frame };
}

async function encodeAsGiven(sae: TrainedSae, x: Float32Array, encoder: Encoder): Promise<SparseCodes> {
  const { parameters: p, iterations = 1, iterationStep = 1 } = sae;
  const variant = VARIANTS[sae.variant];
  const input = {
    x: centred(x, p, sae.subtractBias),
    rows: x.length / p.inputs,
    inputs: p.inputs,
    encoder: p.encoder,
    bias: p.encoderBias,
  };
  const settings = { k: sae.k ?? p.width, threshold: p.threshold ?? new Float32Array(0) };
  if (sae.pursuit) {
    return pursuitCodes(encoder, input, sae.pursuit);
  }
  if (sae.code) {
    return foreignCodes(encoder, input, sae.code, settings.k);
  }
  if (iterations === 1) {
    return encoder.codes(input, variant, settings.k, settings.threshold);
  }
  const steps = { iterations, step: iterationStep };
  const residuals = { ...input, x: centred(x, p, true) };
  return unrolledCodes(encoder, residuals, p.decoder, variant, settings, steps);
}

/** x_hat of every row. */
export function reconstruct(sae: TrainedSae, codes: SparseCodes): Float32Array {
  const { inputs, decoder, decoderBias } = sae.parameters;
  const { frame } = codes;
  const out = decodeCodes(codes, decoder, inputs);
  for (let i = 0; i < out.length; i++) {
    const value = out[i]! + decoderBias[i % inputs]!;
    const row = Math.floor(i / inputs);
    out[i] = frame ? value * frame.scale[row]! + frame.shift[row]! : value;
  }
  return out;
}

export type SaeMeasures = ReconstructionMetrics & {
  dead_share: number;
  minority_share_05: number;
  minority_share_20: number;
  decoder: DecoderCosines;
};

/** Measures of one batch of activations. */
export async function measure(
  sae: TrainedSae,
  x: Float32Array,
  encoder: Encoder = new Encoder({ threads: 2 }),
): Promise<{ measures: SaeMeasures; codes: SparseCodes; metrics: MetricsAccumulator }> {
  const codes = await encodeActivations(sae, x, encoder);
  const metrics = new MetricsAccumulator(sae.parameters.inputs, sae.parameters.width);
  metrics.add(x, reconstruct(sae, codes), codes);
  const measures = {
    ...metrics.reconstruction(),
    dead_share: metrics.deadShare(),
    minority_share_05: metrics.minorityShare(0.05),
    minority_share_20: metrics.minorityShare(0.2),
    decoder: await decoderCosines(sae.parameters, encoder),
  };
  return { measures, codes, metrics };
}
