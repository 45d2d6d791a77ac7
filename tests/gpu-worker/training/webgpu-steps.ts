/**
 * Run by `webgpu.test.ts` in a process that sees a Vulkan driver: trains small models for a few steps on the CPU and on
 * WebGPU from the same start, and prints the differences.
 */
import { adamW, type Optimiser } from '../../../gpu-worker/nn/index.ts';
import { Trainer, unitRows } from '../../../gpu-worker/training/index.ts';
import { type Model, sae, transformer } from '../../bench/engine/models.ts';

const STEPS = 2;
const models: Record<string, Model> = {
  sae: sae(64, 16, 64, 4),
  transformer: transformer({ layers: 1, width: 16, heads: 2, batch: 2, length: 8 }, 32),
};

async function train(model: Model, provider: 'cpu' | 'webgpu', optimiser: Optimiser) {
  const trainer = await Trainer.create({
    name: 'compared',
    loss: model.loss,
    optimiser,
    rate: 1e-2,
    seed: 5,
    average: 0.9,
    clipNorm: 1,
    constraints: [unitRows('w_dec')],
    provider,
  });
  const losses: number[] = [];
  const feeds = model.feeds(STEPS);
  async function* chunks() {
    yield { steps: STEPS, feeds };
    yield { steps: STEPS, feeds };
  }
  for await (const { metrics } of trainer.run(chunks)) losses.push(...metrics.loss);
  const tensors = { ...(await trainer.parameters()), ...(await trainer.checkpoint()).tensors };
  const values = Object.values(tensors).flatMap(({ data }) => Array.from(data, Number));
  await trainer.release();
  return { losses, values, provider: trainer.choice.provider };
}

// Where a gradient is zero but for rounding (a bias of keys), Adam with a tiny epsilon would amplify that rounding.
const optimiser = adamW({ epsilon: 1e-3 });
const gap = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
const report: Record<string, unknown> = {};
for (const [name, model] of Object.entries(models)) {
  const [cpu, gpu] = [await train(model, 'cpu', optimiser), await train(model, 'webgpu', optimiser)];
  report[name] = {
    provider: gpu.provider,
    steps: gpu.losses.length,
    loss: gap(cpu.losses, gpu.losses),
    fell: cpu.losses[0]! - cpu.losses.at(-1)!,
    state: gap(cpu.values, gpu.values),
  };
}
console.log(JSON.stringify(report));
