/**
 * Fair regression by editing one layer of a trained network and refitting its output (arXiv:2504.03093), for a whole sweep
 * of budgets: what does not depend on the budget is computed once.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type GroupMoments, momentsByGroup } from '../../../shared/fairness/moments.ts';
import {
  activate,
  type DenseLayer,
  type DenseNetwork,
  forwardLayer,
  forwardNetwork,
} from '../../../shared/fairness/predictors/network.ts';
import { solveBudget } from '../../../shared/fairness/spectral/budget.ts';
import { correctScalarHead } from '../../../shared/fairness/spectral/exact-mean.ts';
import {
  covarianceSpectrum,
  meanSpectrum,
  preActivationSpectrum,
  type Spectrum,
  stepMatrix,
} from '../../../shared/fairness/spectral/layer.ts';
import { leastSquares } from '../../../shared/math/least-squares.ts';
import { type Matrix, multiply } from '../../../shared/math/matrix.ts';
import { stream } from '../../../shared/math/random.ts';
import { sigmoid } from '../../../shared/math/special.ts';
import { AdamState } from '../adam-state.ts';
import { requireFinite } from '../finite.ts';
import type { Rows } from '../rows.ts';
import { inTargetUnits, standardised, targetScale } from './target-scale.ts';

/** Widest layer that is edited: an eigenproblem of this size takes seconds. */
const WIDEST_LAYER = 1024;

const REFIT_RIDGE = 1e-6;

type Refit = 'none' | 'least_squares' | 'adam';
export type EditSettings = {
  c1: number;
  c2: number;
  refit: Refit;
  covarianceAt?: 'input' | 'pre_activation';
  /** Ridge of the least-squares refit, relative to the mean variance of the hidden activations. */
  ridge?: number;
};
type EditReport = {
  /** Squared norms of the pre-activations' group mean gap and covariance gap budgets, before and after each step. */
  steps: { kind: 'mean' | 'covariance'; lambda: number; distortion: number; before: number; after: number }[];
};

const matrixOf = ({ outputs, inputs, weights }: DenseLayer): Matrix => ({ rows: outputs, cols: inputs, data: weights });

/** A network with one editable layer, the training rows seen from it, and what a sweep can share. */
export class LayerEditor {
  readonly network: DenseNetwork;
  readonly layer: number;
  readonly #rows: Rows;
  readonly #entering: Float64Array;
  readonly #groups: GroupMoments[];
  readonly #groupIds: ArrayLike<number>;
  readonly #spectra = new Map<string, Spectrum>();
  #headMoments: GroupMoments[] | undefined;

  /**
   * `layer` counts from 0; the last hidden layer is `network.length - 2`. `group ids` are the training rows' groups, used for
   * their moments only. Raises `data_invalid` for a layer that cannot be edited or groups without moments.
   */
  constructor(network: DenseNetwork, layer: number, rows: Rows, groupIds: ArrayLike<number>, groups: number) {
    const edited = network[layer];
    if (!edited || layer === network.length - 1) {
      throw new SextantError(
        'data_invalid',
        `layer ${layer} cannot be edited; hidden layers are 0 to ${network.length - 2}`,
      );
    }
    if (Math.max(edited.inputs, edited.outputs) > WIDEST_LAYER) {
      throw new SextantError(
        'data_invalid',
        `layer ${layer} is ${edited.outputs} x ${edited.inputs}; at most ${WIDEST_LAYER} wide layers are edited`,
      );
    }
    this.network = network;
    this.layer = layer;
    this.#rows = rows;
    this.#groupIds = groupIds;
    this.#entering = forwardNetwork(network, rows.x, rows.y.length, layer);
    this.#groups = momentsByGroup(this.#entering, edited.inputs, groupIds, groups);
  }

  /** Scores of a network that differs from this editor's from the edited layer on; `entering` is what `enter` gave. */
  scores(network: DenseNetwork, entering: Float64Array): Float64Array {
    return forwardNetwork(network.slice(this.layer), entering, entering.length / network[this.layer]!.inputs);
  }
  /** Activations that enter the edited layer: the same for every edit. */
  enter({ x, y }: Rows): Float64Array {
    return forwardNetwork(this.network, x, y.length, this.layer);
  }

  #spectrum(kind: string, make: () => Spectrum): Spectrum {
    const held = this.#spectra.get(kind);
    if (held) {
      return held;
    }
    const made = make();
    this.#spectra.set(kind, made);
    return made;
  }

  /** Covariance step with c2, mean step with c1 on its result, then the output layer is refitted on the training rows. */
  edit({ c1, c2, refit, covarianceAt = 'input', ridge = REFIT_RIDGE }: EditSettings): {
    network: DenseNetwork;
    report: EditReport;
  } {
    const original = this.network[this.layer]!;
    let weights = matrixOf(original);
    const steps: EditReport['steps'] = [];
    const apply = (spectrum: Spectrum, ratio: number): void => {
      const { factors, lambda, distortion, before, after } = solveBudget(
        spectrum.kind,
        spectrum.squares,
        spectrum.costs,
        ratio,
      );
      weights = multiply(stepMatrix(spectrum, factors), weights);
      steps.push({ kind: spectrum.kind, lambda, distortion, before, after });
    };
    if (c2 !== 1) {
      const make = covarianceAt === 'input' ? covarianceSpectrum : preActivationSpectrum;
      const whole = weights;
      apply(
        this.#spectrum(`covariance/${covarianceAt}`, () => make(whole, this.#groups)),
        c2,
      );
    }
    if (c1 !== 1) {
      const current = weights;
      apply(
        this.#spectrum(`mean/${covarianceAt}/${c2}`, () => meanSpectrum(current, this.#groups)),
        c1,
      );
    }
    const edited = { ...original, weights: weights.data };
    const network = this.network.map((l, i) => (i === this.layer ? edited : l));
    return { network: refit === 'none' ? network : this.#refitted(network, refit, ridge), report: { steps } };
  }

  /** Hidden activations of the training rows behind the edited layer. */
  #behind(network: DenseNetwork): Float64Array {
    const edited = network[this.layer]!;
    const n = this.#rows.y.length;
    const out = new Float64Array(n * edited.outputs);
    forwardLayer(edited, this.#entering, n, out);
    activate(out, edited.activation);
    return forwardNetwork(network.slice(this.layer + 1), out, n, network.length - this.layer - 2);
  }

  #refitted(network: DenseNetwork, refit: Refit, ridge: number): DenseNetwork {
    const last = network.at(-1)!;
    const hidden = this.#behind(network);
    const { y } = this.#rows;
    if (last.activation !== 'identity') {
      return [...network.slice(0, -1), adamRefit(last, hidden, y)];
    }
    if (refit === 'least_squares') {
      const { intercept, coefficients } = leastSquares(hidden, y, last.inputs, { ridge });
      return [...network.slice(0, -1), { ...last, weights: coefficients, bias: Float64Array.of(intercept) }];
    }
    // In the target's own unit, fixed rates would crawl to a target of tens of thousands; its level is no matter of steps.
    const scale = targetScale(y);
    const weights = last.weights.map((w) => w / scale.scale);
    const level = levelOf(hidden, weights);
    const head = adamRefit({ ...last, weights, bias: Float64Array.of(-level) }, hidden, standardised(y, scale));
    return inTargetUnits([...network.slice(0, -1), head], scale);
  }

  /** The network with the scalar head of least distortion whose mean gap is `tau` times the old one; no layer is edited. */
  scalarHead(tau: number, ridge = 1e-6): DenseNetwork {
    const last = this.network.at(-1)!;
    this.#headMoments ??= momentsByGroup(this.#behind(this.network), last.inputs, this.#groupIds, this.#groups.length);
    const head = { weights: last.weights, bias: last.bias[0]! };
    const { weights, bias } = correctScalarHead(head, this.#headMoments, tau, ridge);
    return [...this.network.slice(0, -1), { ...last, weights, bias: Float64Array.of(bias) }];
  }
}

/** Mean of weights . h over the rows of `hidden`. */
function levelOf(hidden: Float64Array, weights: Float64Array): number {
  const d = weights.length;
  let sum = 0;
  for (let i = 0; i < hidden.length; i++) {
    sum += hidden[i]! * weights[i % d]!;
  }
  return (sum * d) / hidden.length;
}

/** The released refit: 50 epochs of Adam at 1e-3, decay 0.8 per epoch, batches of 128, from the current output layer. */
function adamRefit(
  last: DenseLayer,
  hidden: Float64Array,
  y: Float64Array,
  { epochs = 50, batch = 128, rate = 1e-3, decay = 0.8 } = {},
): DenseLayer {
  const d = last.inputs;
  const n = y.length;
  const size = Math.min(batch, n);
  const parameters = Float64Array.from([...last.weights, last.bias[0]!]);
  const gradient = new Float64Array(d + 1);
  const adam = new AdamState(d + 1);
  const logistic = last.activation === 'logistic';
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = stream(0, `refit/${epoch}`).permutation(n);
    for (let from = 0; from + size <= n; from += size) {
      gradient.fill(0);
      for (let b = 0; b < size; b++) {
        const i = order[from + b]!;
        let a = parameters[d]!;
        for (let j = 0; j < d; j++) {
          a += parameters[j]! * hidden[i * d + j]!;
        }
        const error = ((logistic ? sigmoid(a) : a) - y[i]!) * (logistic ? 1 : 2);
        for (let j = 0; j < d; j++) {
          gradient[j]! += (error * hidden[i * d + j]!) / size;
        }
        gradient[d]! += error / size;
      }
      adam.step(parameters, gradient, rate * decay ** epoch);
    }
  }
  requireFinite(parameters, 'the refit of the output layer');
  return { ...last, weights: parameters.slice(0, d), bias: Float64Array.of(parameters[d]!) };
}
