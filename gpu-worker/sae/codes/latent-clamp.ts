/**
 * Holding a latent at a value inside the model's graph: x + (value - z) D, where z is the latent's code of x and D its atom, so
 * that what the autoencoder does not explain stays (Zhu, Khalili & Zhu, "AbsTopK", arXiv:2510.00404, section 5).
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import * as g from '../../graph/index.ts';
import type { Intervention } from '../../lm/index.ts';
import type { TrainedSae } from '../measures/evaluate.ts';
import { VARIANTS } from './variants.ts';

const EPSILON = 1e-5;

/**
 * The edit that holds latent `latent` at `value`, in the sign convention of its code and the scale of what the encoder sees.
 * @throws SextantError `data_invalid` for a latent that is not there, and for an autoencoder whose codes are no function of
 * pre-activations alone
 */
export function latentClamp(sae: TrainedSae, hook: string, latent: number, value: number): Intervention {
  const { inputs, width, encoder, encoderBias, decoder, decoderBias, threshold } = sae.parameters;
  const { code, iterations = 1, normalisation = null, pursuit, subtractBias } = sae;
  if (latent >= width) {
    throw new SextantError('data_invalid', `latent ${latent}; the autoencoder has latents 0 to ${width - 1}`);
  }
  if (iterations > 1 || pursuit || code === 'groupmax' || code === 'largest_k') {
    const kind = iterations > 1 || pursuit ? 'in several steps' : `as '${code}'`;
    throw new SextantError('data_invalid', `an autoencoder that encodes ${kind} has no latents to clamp`);
  }
  const variant = VARIANTS[sae.variant];
  const k = code ? null : variant.selection === 'token' ? Math.min(sae.k ?? width, width) : null;
  const [first, count] = k === null ? [latent, 1] : [0, width];
  const row = latent * inputs;
  const own = new Float32Array(count);
  own[latent - first] = 1;
  const feeds = {
    encoder: { shape: [count, inputs], data: encoder.subarray(first * inputs, (first + count) * inputs) },
    bias: { shape: [count], data: encoderBias.subarray(first, first + count) },
    centre: { shape: [inputs], data: decoderBias },
    atom: { shape: [inputs], data: decoder.subarray(row, row + inputs) },
    own: { shape: [count], data: own },
    threshold: { shape: [1], data: Float32Array.of(Math.max(0, threshold?.[latent] ?? 0)) },
    value: { shape: [1], data: Float32Array.of(value) },
  };
  const kept = (score: g.Tensor, cut: g.Tensor): g.Tensor =>
    variant.selection === 'threshold' ? g.greater(score, cut) : g.and(g.greaterEqual(score, cut), g.greater(score, 0));
  const build = (x: g.Tensor, feed: (name: string, shape: g.Shape) => g.Tensor): g.Tensor => {
    const { seen, scale } = asSeen(x, inputs, normalisation);
    const centred = subtractBias ? g.sub(seen, feed('centre', [inputs])) : seen;
    const u = g.add(g.matmul(centred, feed('encoder', [count, inputs]), { transB: true }), feed('bias', [count]));
    // The other products times 0: the very number that was ranked, whatever the order of summation in a product of its own.
    const mine = g.sum(g.mul(u, feed('own', [count])), -1, true);
    const z = codeOf(mine, u);
    const step = g.sub(feed('value', [1]), z);
    return g.add(x, g.mul(scale ? g.mul(step, scale) : step, feed('atom', [inputs])));

    function codeOf(mine: g.Tensor, all: g.Tensor): g.Tensor {
      if (code) {
        return code === 'linear' ? mine : g.tanh(g.relu(mine));
      }
      const score = variant.signed ? g.abs(mine) : mine;
      const cut = k === null ? feed('threshold', [1]) : g.kthLargest(variant.signed ? g.abs(all) : all, k);
      return g.where(kept(score, cut), mine, 0);
    }
  };
  const used = new Set(['encoder', 'bias', 'own', 'value', 'atom']);
  if (subtractBias) {
    used.add('centre');
  }
  if (k === null && !code) {
    used.add('threshold');
  }
  const key = JSON.stringify(['clamp', sae.variant, code ?? null, k, count, inputs, subtractBias, normalisation]);
  return {
    kind: 'splice',
    hook,
    key,
    build,
    feeds: Object.fromEntries(Object.entries(feeds).filter(([name]) => used.has(name))),
  };
}

/** x as the encoder sees it, and what a step there is multiplied with in x; null for 1. */
function asSeen(
  x: g.Tensor,
  inputs: number,
  kind: TrainedSae['normalisation'] | null,
): { seen: g.Tensor; scale: g.Tensor | null } {
  if (!kind) {
    return { seen: x, scale: null };
  }
  if (kind === 'constant_norm') {
    const scale = g.sqrt(g.mean(g.square(x), -1, true));
    const divisor = g.where(g.greater(scale, 0), scale, 1);
    return { seen: g.div(x, divisor), scale: divisor };
  }
  const centred = g.sub(x, g.mean(x, -1, true));
  const scale = g.sqrt(g.div(g.sum(g.square(centred), -1, true), inputs - 1));
  return { seen: g.div(centred, g.add(scale, EPSILON)), scale };
}
