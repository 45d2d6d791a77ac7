/** The training loss of any variant as a graph; the training layer adds gradients and the optimiser. */
import * as g from '../../graph/index.ts';
import { VARIANTS } from '../codes/variants.ts';
import type { SaeConfiguration } from './configuration.ts';

/** Names of the program's inputs. */
export const ACTIVATIONS = 'activations';
export const DEAD = 'dead';
export const THRESHOLD = { plain: 'threshold', logarithm: 'log_threshold' } as const;

type DenseProgram = {
  /** What is minimised. */
  total: g.Tensor;
  metrics: {
    /** Mean over rows of |x - x_hat|^2. */
    reconstruction: g.Tensor;
    /** Rows on which each latent fired, [width]. */
    fired: g.Tensor;
    /** Smallest magnitude kept, for batch variants. */
    cut?: g.Tensor;
  };
};

const squaredRows = (error: g.Tensor, rows: number): g.Tensor => g.div(g.sum(g.square(error)), rows);

/** Codes by `iterations` proximal-gradient steps, the first from z = 0 (AbsTopK, section 2). */
function encode(r: SaeConfiguration, centred: g.Tensor, encoder: g.Tensor, bias: g.Tensor, decoder: g.Tensor) {
  const variant = VARIANTS[r.variant];
  const threshold = variant.learnsThreshold ? thresholdOf(r) : null;
  const gradientStep = (residual: g.Tensor) => g.add(g.matmul(residual, encoder, { transB: true }), bias);
  const u = gradientStep(centred);
  let found = variant.graph(u, { k: r.k, threshold, bandwidth: r.bandwidth });
  for (let step = 1; step < r.iterations; step++) {
    const residual = g.sub(centred, g.matmul(found.code, decoder));
    const moved = g.add(found.code, g.mul(gradientStep(residual), r.iterationStep));
    found = variant.graph(moved, { k: r.k, threshold, bandwidth: r.bandwidth });
  }
  return { u, ...found };
}

const thresholdOf = ({ width, logThreshold }: SaeConfiguration): g.Tensor =>
  logThreshold ? g.exp(g.parameter(THRESHOLD.logarithm, [width])) : g.parameter(THRESHOLD.plain, [width]);

/**
 * The error that dead latents leave of the living ones' error, eq. (7) of AbsTopK: the largest by magnitude, with their
 * signs; the error itself is held fixed.
 */
function auxiliaryLoss(r: SaeConfiguration, u: g.Tensor, error: g.Tensor, decoder: g.Tensor, rows: number): g.Tensor {
  const { signed } = VARIANTS[r.variant];
  const dead = g.greater(g.input(DEAD, [r.width]), 0);
  const score = g.where(dead, signed ? g.abs(u) : u, -3e38);
  const kept = g.and(dead, g.topKMask(score, Math.min(r.auxiliaryLatents, r.width)));
  const code = g.where(kept, signed ? u : g.relu(u), 0);
  return squaredRows(g.sub(g.stopGradient(error), g.matmul(code, decoder)), rows);
}

/** The program for batches of `rows` activations. */
export function denseProgram(r: SaeConfiguration, rows: number, { auxiliary }: { auxiliary: boolean }): DenseProgram {
  const { inputs, width, subtractBias, sparsity, matryoshkaPrefixes, auxiliaryWeight } = r;
  const x = g.input(ACTIVATIONS, [rows, inputs]);
  const encoder = g.parameter('encoder', [width, inputs]);
  const encoderBias = g.parameter('encoderBias', [width]);
  const decoder = g.parameter('decoder', [width, inputs]);
  const decoderBias = g.parameter('decoderBias', [inputs]);
  const aimed = g.sub(x, decoderBias);
  const { u, code, penalty, cut } = encode(r, subtractBias ? aimed : x, encoder, encoderBias, decoder);

  const error = g.sub(aimed, g.matmul(code, decoder));
  const reconstruction = squaredRows(error, rows);
  const partial = matryoshkaPrefixes.map((prefix) => {
    const [codes, atoms] = [g.slice(code, 1, 0, prefix), g.slice(decoder, 0, 0, prefix)];
    return squaredRows(g.sub(aimed, g.matmul(codes, atoms)), rows);
  });
  let total = partial.length ? g.div(g.addAll([reconstruction, ...partial]), partial.length + 1) : reconstruction;
  if (penalty && sparsity > 0) {
    total = g.add(total, g.mul(penalty, sparsity));
  }
  if (auxiliary) {
    total = g.add(total, g.mul(auxiliaryLoss(r, u, error, decoder, rows), auxiliaryWeight));
  }
  const fired = g.sum(g.indicator(g.not(g.equal(code, 0))), 0);
  return { total, metrics: { reconstruction, fired, ...(cut && { cut }) } };
}
