/**
 * Run by `webgpu.test.ts` in a process that sees a Vulkan driver: trains small models for a few steps on the CPU and on
 * WebGPU from the same start, and prints the differences.
 */
import { adamW, type Optimiser, sgd } from '../../../gpu-worker/nn/index.ts';
import { Trainer, type TrainerOptions, unitRows } from '../../../gpu-worker/training/index.ts';
import { type Model, sae, transformer } from '../../bench/engine/models.ts';

const STEPS = 2;
type Compared = {
  model: Model;
  optimiser: Optimiser;
  extras: Pick<TrainerOptions, 'average' | 'clipNorm' | 'constraints' | 'groups'>;
};
const compared: Record<string, Compared> = {
  sae: {
    model: sae(64, 16, 64, 4),
    optimiser: adamW({ epsilon: 1e-3 }),
    extras: { average: 0.9, clipNorm: 1, constraints: [unitRows('w_dec')] },
  },
  // Plain momentum: where a gradient is zero but for rounding (a bias of keys), Adam would amplify that rounding.
  transformer: {
    model: transformer({ layers: 1, width: 16, heads: 2, batch: 2, length: 8 }, 32),
    optimiser: sgd({ momentum: 0.9 }),
    extras: { groups: [{ match: 'position', frozen: true }] },
  },
};

async function train({ model, optimiser, extras }: Compared, provider: 'cpu' | 'webgpu') {
  const trainer = await Trainer.create({
    name: 'compared',
    loss: model.loss,
    optimiser,
    rate: 1e-2,
    seed: 5,
    ...extras,
    provider,
  });
  const losses: number[] = [];
  const feeds = model.feeds(STEPS);
  async function* chunks() {
    yield { steps: STEPS, feeds };
    yield { steps: STEPS, feeds };
  }
  for await (const { metrics } of trainer.run(chunks)) {
    losses.push(...metrics.loss);
  }
  const tensors = { ...(await trainer.parameters()), ...(await trainer.checkpoint()).tensors };
  const values = Object.values(tensors).flatMap(({ data }) => Array.from(data, Number));
  await trainer.release();
  return { losses, values, provider: trainer.choice.provider };
}

const gap = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
const report: Record<string, unknown> = {};
for (const [name, item] of Object.entries(compared)) {
  const [cpu, gpu] = [await train(item, 'cpu'), await train(item, 'webgpu')];
  report[name] = {
    provider: gpu.provider,
    steps: gpu.losses.length,
    loss: gap(cpu.losses, gpu.losses),
    fell: cpu.losses[0]! - cpu.losses.at(-1)!,
    state: gap(cpu.values, gpu.values),
  };
}
console.log(JSON.stringify(report));
