/**
 * Training from a language model against its two stages alone: reading activations, and training on stored ones. Each in
 * wall-clock and processor time per batch; the processor time of both over the number of cores is a floor for any
 * arrangement of the same work, overlapped or not.
 */

import { loadModel } from '../../../gpu-worker/lm/model.ts';
import { ActivationSource } from '../../../gpu-worker/sae/activation-source.ts';
import { FastTrainer } from '../../../gpu-worker/sae/fast-trainer.ts';
import { initialise } from '../../../gpu-worker/sae/initialise.ts';
import { recipe } from '../../../gpu-worker/sae/recipe.ts';
import { trainSweep } from '../../../gpu-worker/sae/sweep.ts';
import { stream } from '../../../shared/math/random.ts';
import { data, hasData } from '../../support/guide.ts';
import { median } from '../pairs.ts';

const [MODEL, HOOK, CONTEXT, PASS] = ['bitstories3M-hf', 'resid_post.4', 128, 32];
const [ROWS, BATCHES] = [2048, 16];
const [P, K] = [4096, 32];

/** Milliseconds per batch. */
type Stage = { wall: number; cpu: number };
export type Pipeline = {
  model: string;
  hook: string;
  d: number;
  P: number;
  k: number;
  batch: number;
  rounds: { extraction: Stage; training: Stage; streamed: Stage }[];
  /** Medians over rounds: streamed over the slower stage, over the sum, and the floor over the slower stage. */
  of_slower: number;
  of_sum: number;
  floor_of_slower: number;
};

async function timed(body: () => Promise<void>): Promise<Stage> {
  const [began, used] = [performance.now(), process.cpuUsage()];
  await body();
  const { user, system } = process.cpuUsage(used);
  return { wall: (performance.now() - began) / BATCHES, cpu: (user + system) / 1000 / BATCHES };
}

/** Null without the reference data, which hold the model. */
export async function pipeline(rounds: number, threads: number): Promise<Pipeline | null> {
  if (!hasData) return null;
  const model = await loadModel(data('models', MODEL), { threads });
  const { vocabulary } = model.architecture;
  const ids = stream(0, 'bench/tokens').uniform(CONTEXT * 1024);
  const sequences = Array.from({ length: 1024 }, (_, i) =>
    Int32Array.from(ids.subarray(i * CONTEXT, (i + 1) * CONTEXT), (u) => 3 + Math.floor(u * (vocabulary - 3))),
  );
  const source = new ActivationSource({
    model,
    hook: HOOK,
    sequences: async function* () {
      yield* sequences;
    },
    block: (ROWS * BATCHES) / CONTEXT,
    pass: PASS,
    rows: ROWS,
    seed: 0,
    normCap: null,
  });
  const d = source.width;
  const complete = recipe({ variant: 'abstopk', inputs: d, width: P, k: K });
  const member = {
    recipe: complete,
    schedule: { rate: 1e-4, steps: BATCHES, warmupSteps: 0, decayFraction: 0 },
    seed: 0,
  };
  const trainer = new FastTrainer(complete, ROWS, initialise(complete, 0), { threads });
  const stored: Float32Array[] = [];
  const done: Pipeline['rounds'] = [];
  // The first round warms up, and stores the activations.
  for (let round = 0; round <= rounds; round++) {
    stored.length = 0;
    const extraction = await timed(async () => {
      for await (const { x } of source.batches()) {
        stored.push(x);
        if (stored.length === BATCHES) break;
      }
    });
    const training = await timed(async () => {
      for (const x of stored) await trainer.step(x, 1e-4);
    });
    let streamed: Stage = { wall: 0, cpu: 0 };
    // What a sweep does once (statistics, sessions) is not of the stages: it ends when the first steps are reported.
    const whole = { steps: 2 * BATCHES, first: 0, began: 0, used: process.cpuUsage() };
    await trainSweep({
      source,
      members: [member],
      steps: whole.steps,
      batch: ROWS,
      threads,
      provider: 'cpu',
      scaling: 'none',
      centre: 'mean',
      progress: ({ step }) => {
        if (whole.first === 0)
          Object.assign(whole, { first: step, began: performance.now(), used: process.cpuUsage() });
        if (step - whole.first < BATCHES || streamed.wall > 0) return;
        const { user, system } = process.cpuUsage(whole.used);
        const count = step - whole.first;
        streamed = { wall: (performance.now() - whole.began) / count, cpu: (user + system) / 1000 / count };
      },
    });
    if (round > 0) done.push({ extraction, training, streamed });
  }
  await trainer.close();
  await model.release();
  const over = (value: (round: Pipeline['rounds'][number]) => number) => median(done.map(value));
  const slower = ({ extraction, training }: Pipeline['rounds'][number]) => Math.max(extraction.wall, training.wall);
  return {
    model: MODEL,
    hook: HOOK,
    d,
    P,
    k: K,
    batch: ROWS,
    rounds: done,
    of_slower: over((round) => round.streamed.wall / slower(round)),
    of_sum: over(({ extraction, training, streamed }) => streamed.wall / (extraction.wall + training.wall)),
    floor_of_slower: over((round) => (round.extraction.cpu + round.training.cpu) / threads / slower(round)),
  };
}

export function describePipeline({
  model,
  hook,
  d,
  P: width,
  k,
  rounds,
  of_slower,
  of_sum,
  floor_of_slower,
}: Pipeline): string {
  const stage = (name: 'extraction' | 'training' | 'streamed'): string => {
    const wall = median(rounds.map((round) => round[name].wall));
    const cores = median(rounds.map((round) => round[name].cpu / round[name].wall));
    return `${name} ${wall.toFixed(0)} ms on ${cores.toFixed(1)} cores`;
  };
  return [
    `from ${model} at ${hook}, (${d}, ${width}, ${k}), per batch of ${ROWS}: ${(['extraction', 'training', 'streamed'] as const).map(stage).join(', ')}`,
    `streamed takes ${of_slower.toFixed(2)} of its slower stage and ${of_sum.toFixed(2)} of their sum; processor time allows ${floor_of_slower.toFixed(2)} of the slower`,
  ].join('\n');
}
