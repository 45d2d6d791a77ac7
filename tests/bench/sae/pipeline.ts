/**
 * Training from a language model against its two stages alone: reading activations, and training on stored ones. Each in
 * wall-clock and processor time per batch; the processor time of both over the number of cores is a floor for any
 * arrangement of the same work, overlapped or not.
 */

import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { ActivationSource } from '../../../gpu-worker/sae/training/activation-source.ts';
import { saeConfiguration } from '../../../gpu-worker/sae/training/configuration.ts';
import { FastTrainer } from '../../../gpu-worker/sae/training/fast-trainer.ts';
import { initialise } from '../../../gpu-worker/sae/training/initialise.ts';
import { ModelBlocks } from '../../../gpu-worker/sae/training/model-blocks.ts';
import { type SweepMember, trainSweep } from '../../../gpu-worker/sae/training/sweep.ts';
import { stream } from '../../../shared/math/random.ts';
import { data, hasData } from '../../support/guide.ts';
import { CONFIG, DEEP_CONFIG, generatedLlama } from '../lm/generated.ts';
import { median } from '../pairs.ts';

const [CONTEXT, PASS, ROWS] = [128, 32, 2048];

type Pairing = {
  model: string;
  /** Null where the model is not to be had. */
  folder: () => string | null;
  hook: string;
  P: number;
  k: number;
  /** Batches that are timed at once: a whole number of blocks of the stream. */
  batches: number;
};
const middle = ({ num_hidden_layers }: typeof CONFIG): string => `resid_post.${Math.floor(num_hidden_layers / 2)}`;
/**
 * One where both stages cost about the same; and two with autoencoders of 16 latents per dimension at the output of the
 * middle layer. There the encoder is 16 d^2 numbers and the layers before it about 12 d^2 each, so that only a deep model
 * makes training small beside reading.
 */
const PAIRINGS: readonly Pairing[] = [
  {
    model: 'bitstories3M',
    folder: () => (hasData ? data('models', 'bitstories3M-hf') : null),
    hook: 'resid_post.4',
    P: 4096,
    k: 32,
    batches: 16,
  },
  {
    model: 'a generated Llama of 61 M parameters, 9 layers',
    folder: () => generatedLlama(CONFIG),
    hook: middle(CONFIG),
    P: 8192,
    k: 51,
    batches: 16,
  },
  {
    model: 'a generated Llama of 105 M parameters, 32 layers',
    folder: () => generatedLlama(DEEP_CONFIG),
    hook: middle(DEEP_CONFIG),
    P: 8192,
    k: 51,
    batches: 8,
  },
];

/** Milliseconds per batch. */
type Stage = { wall: number; cpu: number };
export type Pipeline = {
  model: string;
  hook: string;
  d: number;
  P: number;
  k: number;
  batch: number;
  rounds: Round[];
  /** Of the fastest round of each stage, which other work on the machine disturbed least; see `comparison`. */
  fastest: Comparison;
  /** Medians over rounds of the same. */
  medians: Comparison;
};

type Round = Record<'extraction' | 'training' | 'streamed', Stage>;
type Comparison = {
  /** Wall-clock time of streaming over that of the slower stage, and of both. */
  of_slower: number;
  of_sum: number;
  /** Processor time of streaming over that of both stages: what streaming itself costs, whoever else computes. */
  work_of_sum: number;
  /** Processor time of both stages over the number of threads, over the slower stage: no arrangement goes below it. */
  floor_of_slower: number;
};

function comparison({ extraction, training, streamed }: Round, threads: number): Comparison {
  const slower = Math.max(extraction.wall, training.wall);
  const work = extraction.cpu + training.cpu;
  return {
    of_slower: streamed.wall / slower,
    of_sum: streamed.wall / (extraction.wall + training.wall),
    work_of_sum: streamed.cpu / work,
    floor_of_slower: work / threads / slower,
  };
}

/** Starts a clock; the answer reads it, per batch. */
function clock(): (batches: number) => Stage {
  const [began, used] = [performance.now(), process.cpuUsage()];
  return (batches) => {
    const { user, system } = process.cpuUsage(used);
    return { wall: (performance.now() - began) / batches, cpu: (user + system) / 1000 / batches };
  };
}

/** One pairing after the other; those whose model is not there are left out. */
export async function pipelines(rounds: number, threads: number): Promise<Pipeline[]> {
  const done: Pipeline[] = [];
  for (const pairing of PAIRINGS) {
    const folder = pairing.folder();
    if (folder === null) {
      continue;
    }
    done.push(await pipeline(pairing, folder, rounds, threads));
    console.log(describePipeline(done.at(-1)!));
  }
  return done;
}

async function pipeline(
  { model: name, hook, P, k, batches }: Pairing,
  folder: string,
  rounds: number,
  threads: number,
): Promise<Pipeline> {
  const model = await loadModel(folder, { threads });
  const { vocabulary } = model.architecture;
  const ids = stream(0, 'bench/tokens').uniform(CONTEXT * 1024);
  const sequences = Array.from({ length: 1024 }, (_, i) =>
    Int32Array.from(ids.subarray(i * CONTEXT, (i + 1) * CONTEXT), (u) => 3 + Math.floor(u * (vocabulary - 3))),
  );
  const source = new ActivationSource({
    reader: new ModelBlocks({
      model,
      hook,
      sequences: async function* () {
        yield* sequences;
      },
      block: (ROWS * batches) / CONTEXT,
      pass: PASS,
    }),
    rows: ROWS,
    seed: 0,
    normCap: null,
  });
  const d = source.width;
  const complete = saeConfiguration({ variant: 'abstopk', inputs: d, width: P, k });
  const member = {
    configuration: complete,
    schedule: { rate: 1e-4, steps: batches, warmupSteps: 0, decayFraction: 0 },
    seed: 0,
  };
  const trainer = new FastTrainer(complete, ROWS, initialise(complete, 0), { threads });
  const stored: Float32Array[] = [];
  const done: Pipeline['rounds'] = [];
  // The first round warms up, and stores the activations.
  for (let round = 0; round <= rounds; round++) {
    stored.length = 0;
    const reading = clock();
    for await (const { x } of source.batches()) {
      stored.push(x);
      if (stored.length === batches) {
        break;
      }
    }
    const extraction = reading(batches);
    const fitting = clock();
    for (const x of stored) {
      await trainer.step(x, 1e-4);
    }
    const training = fitting(batches);
    const streamed = await streaming({ source, member, batches, threads });
    if (round > 0) {
      done.push({ extraction, training, streamed });
    }
  }
  await trainer.close();
  await model.release();
  const compared = done.map((round) => comparison(round, threads));
  const over = (name: keyof Comparison) => median(compared.map((one) => one[name]));
  const fastest = (name: keyof Round): Stage =>
    done.map((round) => round[name]).reduce((best, stage) => (stage.wall < best.wall ? stage : best));
  return {
    model: name,
    hook,
    d,
    P,
    k,
    batch: ROWS,
    rounds: done,
    fastest: comparison(
      { extraction: fastest('extraction'), training: fastest('training'), streamed: fastest('streamed') },
      threads,
    ),
    medians: {
      of_slower: over('of_slower'),
      of_sum: over('of_sum'),
      work_of_sum: over('work_of_sum'),
      floor_of_slower: over('floor_of_slower'),
    },
  };
}

/** What a sweep does once (statistics, sessions) is not of the stages: the clock starts when the first steps are reported. */
async function streaming({
  source,
  member,
  batches,
  threads,
}: {
  source: ActivationSource;
  member: SweepMember;
  batches: number;
  threads: number;
}): Promise<Stage> {
  let read: ReturnType<typeof clock> | null = null;
  let first = 0;
  let stage: Stage | null = null;
  await trainSweep({
    source,
    members: [member],
    steps: 2 * batches,
    batch: ROWS,
    threads,
    provider: 'cpu',
    scaling: 'none',
    centre: 'mean',
    progress: ({ step }) => {
      if (read === null) {
        [read, first] = [clock(), step];
      } else if (step - first >= batches) {
        stage ??= read(step - first);
      }
    },
  });
  return stage!;
}

function describePipeline({ model, hook, d, P, k, rounds, fastest, medians }: Pipeline): string {
  const stage = (name: keyof Round): string => {
    const walls = rounds.map((round) => round[name].wall);
    const work = median(rounds.map((round) => round[name].cpu));
    return `${name} ${Math.min(...walls).toFixed(0)} ms (median ${median(walls).toFixed(0)}), ${work.toFixed(0)} ms of processor time`;
  };
  const ratios = ({ of_slower, of_sum, work_of_sum, floor_of_slower }: Comparison): string =>
    `streamed takes ${of_slower.toFixed(2)} of its slower stage and ${of_sum.toFixed(2)} of both (processor time ${work_of_sum.toFixed(2)} of both); processor time allows ${floor_of_slower.toFixed(2)} of the slower`;
  return [
    `from ${model}, at ${hook}, (${d}, ${P}, ${k}), per batch of ${ROWS}:`,
    ...(['extraction', 'training', 'streamed'] as const).map((name) => `  ${stage(name)}`),
    `  of the fastest rounds, ${ratios(fastest)}`,
    `  medians over rounds: ${ratios(medians)}`,
  ].join('\n');
}
