/**
 * Trains a gate and its heads on the expected routed loss, in float64 with closed-form gradients: models this small spend
 * their time in a few dot products per row, where a graph would only add overhead.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { gateGradient, softGate } from '../../../shared/fairness/gated/objective.ts';
import type { GatedPredictor } from '../../../shared/fairness/gated/predictor.ts';
import { stream } from '../../../shared/math/random.ts';
import { sigmoid, softplus } from '../../../shared/math/special.ts';
import { convergedLogistic } from '../../study/index.ts';
import { AdamState } from '../adam-state.ts';
import { requireFinite } from '../finite.ts';
import type { Rows } from '../rows.ts';

type GatedTraining = {
  groups: number;
  restarts: number;
  steps: number;
  batch: number;
  rate: number;
  l2: number;
  /** Least share of the rows that a learned group must hold. */
  minimumShare: number;
  seed: number;
  /** `routed`: sum_k G_k l_k. `mixture`: -ln sum_k G_k p_k, the mixture of experts that a hard gate is not optimal for. */
  objective: 'routed' | 'mixture';
};
const GATED_DEFAULTS: Omit<GatedTraining, 'groups'> = {
  restarts: 6,
  steps: 400,
  batch: 2048,
  rate: 0.05,
  l2: 1e-4,
  minimumShare: 0.05,
  seed: 0,
  objective: 'routed',
};

/** Rows below which a group keeps the pooled head. */
const SMALLEST_GROUP = 25;

const linear = (weights: Float64Array, from: number, rows: Float64Array, at: number, d: number): number => {
  let sum = weights[from + d]!;
  for (let j = 0; j < d; j++) {
    sum += weights[from + j]! * rows[at + j]!;
  }
  return sum;
};

/** argmax of the gate's scores: the routing of prediction time, a function of x alone. */
export function route(gate: Float64Array, groups: number, { x, d }: Rows): Uint8Array {
  const width = d + 1;
  const routed = new Uint8Array(x.length / d);
  for (let i = 0; i < routed.length; i++) {
    let best = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < groups; k++) {
      const score = linear(gate, k * width, x, i * d, d);
      if (score > best) {
        best = score;
        routed[i] = k;
      }
    }
  }
  return routed;
}

/** Mean log-loss of the hard-routed predictor. */
function routedLoss(p: GatedPredictor, rows: Rows): number {
  const routed = route(p.gate, p.groups, rows);
  const width = rows.d + 1;
  let sum = 0;
  for (let i = 0; i < routed.length; i++) {
    const a = linear(p.heads, routed[i]! * width, rows.x, i * rows.d, rows.d);
    sum += softplus(a) - rows.y[i]! * a;
  }
  return sum / routed.length;
}

/** One run of the joint training: soft gate, temperature annealed from 1 to 0.1, balance term in the first third. */
function descend(rows: Rows, options: GatedTraining, restart: number): { gate: Float64Array; heads: Float64Array } {
  const { groups, steps, rate, l2, seed, objective } = options;
  const { x, y, d } = rows;
  const n = y.length;
  const width = d + 1;
  const random = stream(seed, `gated/${groups}/${restart}`);
  const parameters = random.derive('initial').normal(2 * groups * width, { deviation: 0.5 });
  const [gate, heads] = [parameters.subarray(0, groups * width), parameters.subarray(groups * width)];
  const adam = new AdamState(parameters.length);
  const gradient = new Float64Array(parameters.length);
  const batch = Math.min(options.batch, n);
  const soft = new Float64Array(batch * groups);
  const [logits, losses, delta, errors] = [0, 1, 2, 3].map(() => new Float64Array(groups)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const shares = new Float64Array(groups);
  const words = new Uint32Array(batch);
  const batches = random.derive('batches');
  for (let step = 0; step < steps; step++) {
    const progress = step / Math.max(1, steps - 1);
    const temperature = 10 ** -progress;
    const balance = progress < 1 / 3 ? 0.1 : 0;
    if (batch < n) {
      batches.fillWords(words, step * batch);
    }
    const rowOf = (b: number): number => (batch < n ? Math.floor((words[b]! * n) / 4294967296) : b);
    shares.fill(0);
    for (let b = 0; b < batch; b++) {
      const at = rowOf(b) * d;
      for (let k = 0; k < groups; k++) {
        logits[k] = linear(gate, k * width, x, at, d);
      }
      const own = soft.subarray(b * groups, (b + 1) * groups);
      softGate(logits, temperature, own);
      for (let k = 0; k < groups; k++) {
        shares[k]! += own[k]! / batch;
      }
    }
    gradient.fill(0);
    for (let b = 0; b < batch; b++) {
      const i = rowOf(b);
      const at = i * d;
      const own = soft.subarray(b * groups, (b + 1) * groups);
      for (let k = 0; k < groups; k++) {
        const a = linear(heads, k * width, x, at, d);
        losses[k] = softplus(a) - y[i]! * a;
        errors[k] = sigmoid(a) - y[i]!;
      }
      if (objective === 'routed') {
        gateGradient(own, losses, temperature, delta);
      } else {
        mixtureGradient(own, losses, temperature, delta);
      }
      let balanceMean = 0;
      if (balance > 0) {
        for (let k = 0; k < groups; k++) {
          balanceMean += own[k]! * Math.log(groups * shares[k]!);
        }
      }
      for (let k = 0; k < groups; k++) {
        let g = delta[k]!;
        if (balance > 0) {
          g += (balance * own[k]! * (Math.log(groups * shares[k]!) - balanceMean)) / temperature;
        }
        // In the mixture a head answers for the rows it explains, otherwise for those the gate sends it.
        const responsibility = objective === 'routed' ? own[k]! : own[k]! - delta[k]! * temperature;
        const h = responsibility * errors[k]!;
        const from = k * width;
        const head = groups * width + from;
        for (let j = 0; j < d; j++) {
          const value = x[at + j]!;
          gradient[from + j]! += g * value;
          gradient[head + j]! += h * value;
        }
        gradient[from + d]! += g;
        gradient[head + d]! += h;
      }
    }
    for (let p = 0; p < gradient.length; p++) {
      gradient[p] = gradient[p]! / batch + (p >= groups * width ? 2 * l2 * parameters[p]! : 0);
    }
    adam.step(parameters, gradient, rate);
  }
  requireFinite(parameters, 'the training of gate and heads');
  return { gate: gate.slice(), heads: heads.slice() };
}

/** Gradient of -ln sum_k G_k exp(-l_k) with respect to the logits: (G_k - r_k) / T, r_k the posterior of expert k. */
export function mixtureGradient(
  gate: Float64Array,
  losses: Float64Array,
  temperature: number,
  out: Float64Array,
): void {
  let least = Number.POSITIVE_INFINITY;
  for (const loss of losses) {
    least = Math.min(least, loss);
  }
  let total = 0;
  for (let k = 0; k < out.length; k++) {
    out[k] = gate[k]! * Math.exp(least - losses[k]!);
    total += out[k]!;
  }
  for (let k = 0; k < out.length; k++) {
    out[k] = (gate[k]! - out[k]! / total) / temperature;
  }
}

type GatedFit = { predictor: GatedPredictor; validationLoss: number; shares: number[] };

/**
 * Best of several restarts by validation loss: soft training, hard routing, then every head fitted exactly to its own rows.
 * A group below 25 rows keeps the pooled head; a run with a group below the least share counts only if no run is without.
 * `cancelled` is asked between restarts. Raises `data_invalid` for fewer rows than two per feature and group.
 */
export function trainGated(
  train: Rows,
  validation: Rows,
  given: Partial<GatedTraining> & { groups: number },
): GatedFit {
  const options = { ...GATED_DEFAULTS, ...given };
  const { groups, l2 } = options;
  const { d } = train;
  if (train.y.length < 4 || train.y.every((y) => y === train.y[0])) {
    throw new SextantError('data_invalid', 'training rows must hold both labels');
  }
  const pooled = convergedLogistic(train, { l2 });
  const base = {
    features: d,
    groups,
    pooled,
    serving: Int32Array.from({ length: groups }, (_, k) => k),
    link: 'logistic' as const,
  };
  if (groups === 1) {
    const predictor: GatedPredictor = { ...base, gate: new Float64Array(d + 1), heads: pooled.slice() };
    return { predictor, validationLoss: routedLoss(predictor, validation), shares: [1] };
  }
  let best: (GatedFit & { whole: boolean }) | undefined;
  for (let restart = 0; restart < options.restarts; restart++) {
    const { gate } = descend(train, options, restart);
    const routed = route(gate, groups, train);
    const members = Array.from({ length: groups }, () => [] as number[]);
    routed.forEach((k, i) => {
      members[k]!.push(i);
    });
    const heads = new Float64Array(groups * (d + 1));
    members.forEach((rows, k) => {
      heads.set(rows.length < SMALLEST_GROUP ? pooled : convergedLogistic(train, { l2, rows }), k * (d + 1));
    });
    const predictor: GatedPredictor = { ...base, gate, heads };
    const shares = members.map((rows) => rows.length / train.y.length);
    const whole = Math.min(...shares) >= options.minimumShare;
    const validationLoss = routedLoss(predictor, validation);
    const better = !best || (whole && !best.whole) || (whole === best.whole && validationLoss < best.validationLoss);
    if (better) {
      best = { predictor, validationLoss, shares, whole };
    }
  }
  const { predictor, validationLoss, shares } = best!;
  return { predictor, validationLoss, shares };
}

/** The number of groups with the least validation loss; K = 1, the pooled predictor, is always among the candidates. */
export function chooseGroups(
  train: Rows,
  validation: Rows,
  candidates: readonly number[],
  options: Partial<GatedTraining> = {},
  onFit: (groups: number, fit: GatedFit) => void = () => undefined,
): { groups: number; fit: GatedFit; losses: { groups: number; validationLoss: number }[] } {
  const losses: { groups: number; validationLoss: number }[] = [];
  let chosen: { groups: number; fit: GatedFit } | undefined;
  for (const groups of [...new Set([1, ...candidates])].sort((a, b) => a - b)) {
    const fit = trainGated(train, validation, { ...options, groups });
    losses.push({ groups, validationLoss: fit.validationLoss });
    if (!chosen || fit.validationLoss < chosen.fit.validationLoss) {
      chosen = { groups, fit };
    }
    onFit(groups, fit);
  }
  return { ...chosen!, losses };
}
