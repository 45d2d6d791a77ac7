/**
 * `npm run bench -- ecg [--torch DIR] [--rounds N] [--threads N]`: a training step of the network at depth 1 and batch 128,
 * and the rate of denoising with windows that overlap by half, in turns with PyTorch; then the whole of `ecg.denoise`'s
 * computation and a strip of ten seconds. Results are written to `results/ecg.json`.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Denoiser } from '../../gpu-worker/ecg/denoise/network-session.ts';
import { cleanWhole } from '../../gpu-worker/ecg/denoise/stretch.ts';
import { CONFIG_FILE, readEcgModel, SHIPPED_MODEL, WEIGHTS_FILE } from '../../gpu-worker/ecg/model/document.ts';
import { standardNetwork } from '../../gpu-worker/ecg/network/configuration.ts';
import { denoisingLoss } from '../../gpu-worker/ecg/network/loss.ts';
import { network } from '../../gpu-worker/ecg/network/network.ts';
import { syntheticPatient } from '../../gpu-worker/ecg/training/synthetic.ts';
import * as g from '../../gpu-worker/graph/index.ts';
import { adam } from '../../gpu-worker/nn/index.ts';
import { fromSteps, Trainer } from '../../gpu-worker/training/index.ts';
import { stream } from '../../shared/math/random.ts';
import { interleaved, ratios, show, summary, timed } from './pairs.ts';
import { Torch } from './torch/process.ts';

const [BATCH, SECONDS, STRIP_S] = [128, 60, 10];

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      torch: { type: 'string' },
      rounds: { type: 'string', default: '7' },
      threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    },
  });
  const [rounds, threads] = [Number(values.rounds), Number(values.threads)];
  const torch = values.torch
    ? await Torch.start(join(import.meta.dirname, 'ecg/steps.py'), values.torch, threads)
    : null;
  const config = standardNetwork();
  const shape = [BATCH, 2, 256];
  const loss = denoisingLoss(network(config, g.input('x', shape)).output, g.input('y', shape));
  const trainer = await Trainer.create({
    name: 'bench',
    loss,
    optimiser: adam(),
    rate: 1e-3,
    provider: 'cpu',
    threads,
  });
  const windows = Float32Array.from(stream(1, 'bench').normal(BATCH * 512));
  const step = async () => {
    for await (const _ of trainer.run((from) => fromSteps(from + 1, 1, () => ({ x: windows, y: windows }))(from))) {
    }
  };
  const bare = await Denoiser.create(config, await trained(trainer), { threads });
  const count = Math.floor((SECONDS * 360) / 128);
  const input = Float32Array.from(stream(2, 'bench').normal(count * 512));
  const model = await readEcgModel(join(SHIPPED_MODEL, CONFIG_FILE), join(SHIPPED_MODEL, WEIGHTS_FILE));
  const whole = await Denoiser.create(model.document.network, model.weights, { threads });
  const [minute, strip] = [SECONDS, STRIP_S].map((seconds) => syntheticPatient(1, 1, seconds));
  const times = await interleaved(rounds, {
    train: () => timed(step),
    denoise: () => timed(() => bare.run(input, count)),
    ...(torch && {
      train_torch: async () => 1000 * (await torch.measure(`train ${BATCH}`)),
      denoise_torch: async () => 1000 * (await torch.measure(`denoise ${SECONDS}`)),
    }),
    whole: () => timed(() => cleanWhole(whole, model.document.gate, minute!)),
    strip: () => timed(() => cleanWhole(whole, model.document.gate, strip!)),
  });
  torch?.stop();
  await Promise.all([trainer.release(), bare.release(), whole.release()]);
  const ms = (name: string) => summary(times[name]!);
  const result = {
    cpu: cpus()[0]?.model,
    threads,
    rounds,
    load_average: loadavg()[0],
    torch: torch?.version ?? null,
    train_step_ms: ms('train'),
    train_over_torch: torch ? summary(ratios(times.train!, times.train_torch!)) : null,
    denoise_rate_over_torch: torch ? summary(ratios(times.denoise_torch!, times.denoise!)) : null,
    network_times_real_time: (1000 * SECONDS) / ms('denoise').median,
    whole_times_real_time: (1000 * SECONDS) / ms('whole').median,
    strip_ms: ms('strip'),
  };
  console.log(`training step, batch ${BATCH}: ${show(result.train_step_ms, 0)} ms`);
  if (result.train_over_torch) {
    console.log(`  over PyTorch's: ${show(result.train_over_torch, 2)} (target 0.9)`);
  }
  if (result.denoise_rate_over_torch) {
    console.log(`denoising, rate over PyTorch's: ${show(result.denoise_rate_over_torch, 2)} (target 1.2)`);
  }
  console.log(
    `denoising: ${result.network_times_real_time.toFixed(0)} times real time, ${result.whole_times_real_time.toFixed(0)} with filters and gate (target 400)`,
  );
  console.log(`a strip of ${STRIP_S} s: ${show(result.strip_ms, 0)} ms (target 40)`);
  writeFileSync(join(import.meta.dirname, 'results/ecg.json'), `${JSON.stringify(result, null, 1)}\n`);
}

const trained = async (trainer: Trainer) =>
  Object.fromEntries(
    Object.entries(await trainer.parameters()).map(([name, { shape, data }]) => [
      name,
      { shape, data: data as Float32Array },
    ]),
  );
