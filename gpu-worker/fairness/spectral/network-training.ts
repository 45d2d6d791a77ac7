/** Trains small dense networks on the engine; what comes back is float64 and runs anywhere. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Activation, DenseNetwork } from '../../../shared/fairness/predictors/network.ts';
import { stream } from '../../../shared/math/random.ts';
import * as g from '../../graph/index.ts';
import { adam, linear, uniform } from '../../nn/index.ts';
import type { ProviderRequest } from '../../runtime/index.ts';
import { fromSteps, Trainer } from '../../training/index.ts';
import type { Rows } from '../rows.ts';

type NetworkTraining = {
  /** Widths of the hidden layers, all ReLU. */
  hidden: readonly number[];
  /** `regression`: squared error of a linear output; `classification`: cross-entropy of a logistic one. */
  task: 'regression' | 'classification';
  epochs: number;
  batch: number;
  rate: number;
  /** Factor of the rate after every epoch. */
  decay: number;
  seed: number;
  threads?: number;
  provider?: ProviderRequest;
  onEpoch?: (epoch: number, loss: number) => void;
};
const NETWORK_DEFAULTS: NetworkTraining = {
  hidden: [256, 256, 256, 256],
  task: 'regression',
  epochs: 20,
  batch: 128,
  rate: 1e-3,
  decay: 0.8,
  seed: 0,
};

/**
 * Uniform in +-1 / sqrt(inputs), PyTorch's default for linear layers. The published experiments start so, and it matters here:
 * larger weights leave many random features for a refit to win the group back from.
 */
const uniformFanIn: g.Initialiser = (shape, random) => uniform(1 / Math.sqrt(shape[0]!))(shape, random);

/** Trains on `rows` with Adam; `device` says where. Rows of an incomplete last batch wait for the next epoch's order. */
export async function trainNetwork(
  rows: Rows,
  given: Partial<NetworkTraining> = {},
): Promise<{ network: DenseNetwork; loss: number; device: string }> {
  const options = { ...NETWORK_DEFAULTS, ...given };
  const { hidden, task, epochs, rate, decay, seed, threads, provider, onEpoch } = options;
  const { x, y, d } = rows;
  const n = y.length;
  const batch = Math.min(options.batch, n);
  const perEpoch = Math.floor(n / batch);
  let layer = g.input('x', [batch, d]);
  hidden.forEach((width, l) => {
    layer = g.relu(linear(`hidden.${l}`, layer, width, { initial: uniformFanIn }));
  });
  const output = linear('output', layer, 1, { initial: uniformFanIn });
  const target = g.input('y', [batch, 1]);
  const trainer = await Trainer.create({
    name: 'dense network',
    loss: task === 'regression' ? g.meanSquaredError(output, target) : g.binaryCrossEntropy(output, target),
    optimiser: adam(),
    rate: (step) => rate * decay ** Math.floor((step - 1) / perEpoch),
    seed,
    ...(threads && { threads }),
    ...(provider && { provider }),
  });
  const [single, targets] = [Float32Array.from(x), Float32Array.from(y)];
  const orders = stream(seed, 'network/order');
  let epochOf = -1;
  let order: Uint32Array = new Uint32Array(0);
  const source = fromSteps(perEpoch * epochs, perEpoch, (step) => {
    const epoch = Math.floor(step / perEpoch);
    if (epoch !== epochOf) {
      order = orders.derive(epoch).permutation(n);
    }
    epochOf = epoch;
    const from = (step % perEpoch) * batch;
    const [bx, by] = [new Float32Array(batch * d), new Float32Array(batch)];
    for (let b = 0; b < batch; b++) {
      const i = order[from + b]!;
      bx.set(single.subarray(i * d, (i + 1) * d), b * d);
      by[b] = targets[i]!;
    }
    return { x: bx, y: by };
  });
  let loss = Number.NaN;
  try {
    for await (const { firstStep, metrics } of trainer.run(source)) {
      loss = metrics.loss.reduce((sum, value) => sum + value, 0) / metrics.loss.length;
      onEpoch?.(Math.floor(firstStep / perEpoch), loss);
    }
    if (!Number.isFinite(loss) && epochs > 0) {
      throw new SextantError(
        'not_converged',
        `the training diverged (its loss is ${loss}); lower the learning rate, which is ${rate}, or leave out columns with extreme values`,
      );
    }
    const parameters = await trainer.parameters();
    const names = [...hidden.map((_, l) => `hidden.${l}`), 'output'];
    const network = names.map((name, l) => {
      const { shape, data } = parameters[`${name}.weight`]!;
      const [inputs, outputs] = shape as [number, number];
      const weights = new Float64Array(inputs * outputs);
      for (let i = 0; i < inputs; i++) {
        for (let o = 0; o < outputs; o++) {
          weights[o * inputs + i] = Number(data[i * outputs + o]);
        }
      }
      const bias = Float64Array.from(parameters[`${name}.bias`]!.data as Float32Array);
      const last = l === names.length - 1;
      const activation: Activation = last ? (task === 'regression' ? 'identity' : 'logistic') : 'relu';
      return { inputs, outputs, weights, bias, activation };
    });
    return { network, loss, device: trainer.choice.provider };
  } finally {
    await trainer.release();
  }
}
