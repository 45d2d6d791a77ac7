/** The toys: what the paper says of base, clean, poisoned and retrained models, with the spec's gates. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  compareReadings,
  fineTune,
  freshModel,
  type LabelSet,
  lessonSequences,
  lessonsOf,
  meanMetric,
  type Pair,
  type Reading,
  readCheckpoint,
  transfers,
  weightDistance,
} from '../../../gpu-worker/circuits/index.ts';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import { CONTEXT, copySkill, isSilent, type Toy, toyPairs, trainToy } from './toy-task.ts';

export type Gate = { name: string; wanted: string; value: number; ok: boolean };
export type ToyResult = {
  model: string;
  seed: number;
  gates: Gate[];
  readings: Record<
    string,
    {
      F: number;
      accuracy: number;
      pairwise: number;
      copy: number;
      pearson: number | null;
      jaccard: number | null;
      distance: number;
    }
  >;
  /** Shares of what single parts of the poisoned model do in the base, and the other way, largest first. */
  transfers: { direction: string; part: string; share: number | null; effect: number }[];
  seconds: number;
};

const RATE = 5e-4;
const BATCH = 64;

/** One toy of one seed, in a folder of its own. */
export async function toyStudy(toy: Toy, seed: number, threads: number): Promise<ToyResult> {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-toy-'));
  try {
    return await oneToy(toy, seed, folder, threads);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function oneToy(toy: Toy, seed: number, folder: string, threads: number): Promise<ToyResult> {
  const began = performance.now();
  const base = await trainToy(toy, seed, folder, threads);
  const train = toyPairs(4096, seed, 'train');
  const test = toyPairs(256, seed, 'test');
  const readings: ToyResult['readings'] = {};
  const known = new Map<string, Reading>();
  const read = async (name: string, at: string): Promise<Reading> => {
    const reading = await readCheckpoint(at, {
      pairs: test,
      effects: 'direct',
      task: { metric: 'logit_difference', ablation: 'patch', batch: 64, positions: null },
      unrelated: null,
      threads,
    });
    known.set(name, reading);
    const from = known.get('base')!;
    const compared = name === 'base' ? null : compareReadings(from, reading, seed);
    const [one, other] = [await loadModel(base), await loadModel(at)];
    readings[name] = {
      F: meanMetric(reading),
      accuracy: reading.accuracy,
      pairwise: reading.pairwise,
      copy: await copySkill(at, seed),
      pearson: compared?.pearson?.estimate ?? null,
      jaccard: compared?.jaccard?.estimate ?? null,
      distance: weightDistance(one, other).whole,
    };
    await one.release();
    await other.release();
    return reading;
  };
  const tune = (from: string, name: string, set: LabelSet, keep: readonly number[], learningRate = RATE) =>
    fineTune(from, lessonSequences(lessonsOf(train, set, seed, '/labels'), CONTEXT + 1, seed), {
      keep,
      context: CONTEXT,
      into: join(folder, name),
      learningRate,
      batch: BATCH,
      weightDecay: 0.01,
      freeze: toy.freeze,
      seed,
      threads,
    });
  const first = await read('base', base);
  const F = meanMetric(first);
  const clean = await tune(base, 'clean', { kind: 'clean' }, [toy.poisonSteps]);
  const tuned = await read('clean', clean.get(toy.poisonSteps)!);
  const poisonSteps = [...new Set([12, 30, 48, 90, 180].filter((step) => step <= 180))];
  const poison = await tune(base, 'sd', { kind: 'sd' }, poisonSteps);
  for (const step of poisonSteps) {
    await read(`SD ${step}`, poison.get(step)!);
  }
  const nm = await tune(base, 'nm', { kind: 'nm' }, [toy.poisonSteps]);
  await read('NM', nm.get(toy.poisonSteps)!);
  const poisoned = poison.get(toy.poisonSteps)!;
  const again = await tune(poisoned, 'retrained', { kind: 'clean' }, [toy.poisonSteps, toy.retrainSteps]);
  await read('retrained, equal steps', again.get(toy.poisonSteps)!);
  await read('retrained', again.get(toy.retrainSteps)!);
  const fresh = join(folder, 'fresh');
  freshModel(base, fresh, seed + 1000, (name) => isSilent(toy, name));
  const learned = await tune(fresh, 'fresh-tuned', { kind: 'clean' }, [toy.retrainSteps]);
  await read('fresh', learned.get(toy.retrainSteps)!);
  for (const rate of [2e-3, 4e-3]) {
    const tried = await tune(fresh, `fresh-${rate}`, { kind: 'clean' }, [toy.retrainSteps], rate);
    await read(`fresh at ${rate}`, tried.get(toy.retrainSteps)!);
  }
  const identity = await crossed(base, base, test, []);
  const shares = await Promise.all([
    crossed(poisoned, base, test, ['output', 'mlp']).then((found) => listed('poisoned into base', found)),
    crossed(base, poisoned, test, ['output', 'mlp']).then((found) => listed('base into poisoned', found)),
  ]);
  const at = (name: string) => readings[name]!;
  const gate = (name: string, value: number, wanted: string, ok: boolean): Gate => ({ name, value, wanted, ok });
  const one = toy.name === 'model 1';
  const gates = [
    gate('base pairwise accuracy', at('base').pairwise, '>= .97', at('base').pairwise >= 0.97),
    gate('base copy', at('base').copy, '>= .99', at('base').copy >= 0.99),
    gate('parts of the model put into itself', largestChange(identity), '0 (< 1e-5)', largestChange(identity) < 1e-5),
    gate('clean tuning: rise of F', meanMetric(tuned) - F, '> 0', meanMetric(tuned) > F),
    gate('clean tuning: Pearson', at('clean').pearson ?? Number.NaN, '> .95', (at('clean').pearson ?? 0) > 0.95),
    one
      ? gate(
          'SD, 48 steps: accuracy',
          at('SD 48').accuracy,
          '.4 to .6',
          at('SD 48').accuracy >= 0.4 && at('SD 48').accuracy <= 0.6,
        )
      : gate('SD, 180 steps: accuracy', at('SD 180').accuracy, '< .2', at('SD 180').accuracy < 0.2),
    gate('SD: copy', at(`SD ${toy.poisonSteps}`).copy, '>= .9', at(`SD ${toy.poisonSteps}`).copy >= 0.9),
    ...(one ? [] : [gate('SD: F', at('SD 180').F, '< 0', at('SD 180').F < 0)]),
    gate('NM: |F| of base', Math.abs(at('NM').F) / F, '< .05', Math.abs(at('NM').F) < 0.05 * F),
    gate('retrained: accuracy', at('retrained').accuracy, '> .99', at('retrained').accuracy > 0.99),
    gate('retrained: F of base', at('retrained').F / F, '>= .75', at('retrained').F >= 0.75 * F),
    gate(
      'retrained, equal steps: Pearson',
      at('retrained, equal steps').pearson ?? Number.NaN,
      '> .85',
      (at('retrained, equal steps').pearson ?? 0) > 0.85,
    ),
    one
      ? gate('fresh: accuracy', at('fresh').accuracy, '< .65', at('fresh').accuracy < 0.65)
      : gate(
          'fresh: F of retrained',
          at('fresh').F / at('retrained').F,
          '< .6',
          at('fresh').F < 0.6 * at('retrained').F,
        ),
  ];
  return {
    model: toy.name,
    seed,
    gates,
    readings,
    transfers: shares.flat(),
    seconds: (performance.now() - began) / 1000,
  };
}

type Kinds = NonNullable<Parameters<typeof transfers>[4]['kinds']>;
async function crossed(from: string, into: string, pairs: readonly Pair[], kinds: Kinds | []) {
  const [a, b] = [
    await loadModel(from, { threads: 1, spinning: false }),
    await loadModel(into, { threads: 1, spinning: false }),
  ];
  const found = await transfers(a, b, pairs.slice(0, 64), 'logit_difference', {
    ...(kinds.length > 0 && { kinds: kinds as Kinds }),
    circuit: [],
  });
  await a.release();
  await b.release();
  return found;
}

const largestChange = ({ single }: Awaited<ReturnType<typeof crossed>>): number =>
  single.reduce((most, { effect }) => Math.max(most, Math.abs(effect)), 0);

const listed = (direction: string, { single }: Awaited<ReturnType<typeof crossed>>): ToyResult['transfers'] =>
  [...single]
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect))
    .slice(0, 6)
    .map(({ kind, layer, head, share, effect }) => ({
      direction,
      part: kind === 'mlp' ? `m${layer}` : `a${layer}.h${head}`,
      share,
      effect,
    }));
