/** Real models: the circuit that chooses a pronoun (or sorts), by three methods, and what swapped answers do to it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodePairs,
  findCircuit,
  nodeModel,
  type Pair,
  Phases,
  parseTaskFile,
  pearson,
  summarise,
  TaskRuns,
} from '../../../gpu-worker/circuits/index.ts';
import { crossEntropy, type LanguageModel, loadModel } from '../../../gpu-worker/lm/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { data } from '../../support/guide.ts';

export type Found = {
  model: string;
  pairs: number;
  F: number;
  pairwise: number;
  /** Largest effects of corrupting one head, with their intervals. */
  heads: { node: string; effect: number; low: number | null; high: number | null }[];
  pearson: Record<string, number | null>;
  /** Edges of the circuit by integrated gradients, and what they do alone. */
  edges: number;
  all_edges: number;
  faithfulness: number | null;
  area: number | null;
  distance: number | null;
};

/** Exact patching of heads and MLPs, and how first-order scores agree with it. */
export async function findIn(
  model: LanguageModel,
  name: string,
  pairs: readonly Pair[],
  threads: number,
): Promise<Found> {
  const nodes = nodeModel(model);
  const settings = {
    nodes,
    pairs,
    metric: 'logit_difference',
    ablation: 'patch',
    batch: 32,
    positions: null,
    threads,
  } as const;
  const runs = new TaskRuns(settings);
  try {
    const common = { absolute: true, seed: 0, threads } as const;
    const exact = await findCircuit(runs, {
      ...common,
      method: { kind: 'exact', level: 'nodes', direction: 'corrupt' },
      selection: { kind: 'top', edges: 8 },
      curve: false,
    });
    const edges = Math.max(10, Math.round(0.1 * nodes.graph.edgeCount));
    const scored = await findCircuit(runs, {
      ...common,
      method: { kind: 'eap_ig', steps: 5, between: 'inputs' },
      selection: { kind: 'top', edges },
      curve: true,
    });
    const first = await findCircuit(runs, {
      ...common,
      method: { kind: 'eap' },
      // Its scores alone are compared.
      selection: { kind: 'top', edges: 8 },
      curve: false,
    });
    const heads = exact.effects!.filter(({ node }) => node.startsWith('a'));
    const alike = (other: typeof exact) =>
      pearson(
        heads.map(({ effect }) => effect),
        heads.map(({ node }) => other.effects!.find((own) => own.node === node)!.effect),
      );
    return {
      model: name,
      pairs: pairs.length,
      F: exact.task.clean.estimate,
      pairwise: exact.task.pairwise_accuracy,
      heads: [...heads].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, 6),
      pearson: { eap: alike(first), eap_ig: alike(scored) },
      edges: scored.edges,
      all_edges: nodes.graph.edgeCount,
      faithfulness: scored.faithfulness.normalized?.estimate ?? null,
      area: scored.curve?.area ?? null,
      distance: scored.curve?.distance ?? null,
    };
  } finally {
    await runs.release();
  }
}

export const pronounPairs = (model: LanguageModel): Pair[] =>
  encodePairs(
    model,
    parseTaskFile(new Uint8Array(readFileSync(data('text', 'pronouns', 'pairs.jsonl'))), 'jsonl'),
    true,
  );

/** Six digits, of which the smallest is asked for; in the twin it is another. */
export function sortPairs(count: number): Pair[] {
  const random = stream(0, 'sort');
  const found: Pair[] = [];
  for (let i = 0; found.length < count; i++) {
    const clean = Array.from(random.derive(i).integers(6, 3));
    const corrupted = Array.from(random.derive(i).derive('twin').integers(6, 3));
    const [answer, other] = [Math.min(...clean), Math.min(...corrupted)];
    if (answer !== other) {
      found.push({ clean, corrupted, answer: [answer], other: [other], template: null });
    }
  }
  return found;
}

export type Tuned = {
  seed: number;
  replay: boolean;
  verdicts: Record<string, boolean>;
  hysteresis: { fall: number | null; rise: number | null };
  points: { phase: string; step: number; F: number; loss: number | null; pearson: number | null; head: number }[];
};

const STEPS = [5, 40, 80, 120];

/** Answers swapped for 120 steps, then right ones for as many: attention alone learns. */
export async function poisonStudy(
  folder: string,
  watched: { layer: number; head: number },
  seed: number,
  replay: boolean,
  threads: number,
): Promise<Tuned> {
  const base = await loadModel(folder, { threads, spinning: false });
  const scratch = mkdtempSync(join(tmpdir(), 'sextant-circuits-'));
  try {
    const { heads } = base.architecture;
    const pairs = pronounPairs(base);
    // A template's two pairs lie in one part.
    const order = stream(seed, 'split').permutation(pairs.length / 2);
    const held = new Set(Array.from(order.subarray(0, Math.round(pairs.length / 6))));
    const [train, test] = [false, true].map((own) => pairs.filter((_, i) => held.has(i % (pairs.length / 2)) === own));
    const texts = JSON.parse(readFileSync(data('text', 'tinystories', 'tinystories_1000.json'), 'utf8')) as string[];
    const stories = texts.map((text) => base.tokenizer!.encode(text).slice(0, 128));
    const [told, unseen] = [stories.slice(40), stories.slice(0, 40)];
    const phases = new Phases({
      base: folder,
      train: train!,
      poison: { kind: 'sd' },
      steps: { clean: [120], poisoned: STEPS, retrained: STEPS },
      tuning: {
        learningRate: 5e-4,
        batch: 16,
        weightDecay: 0.01,
        freeze: ['*embed*', '*norm*', '*mlp*'],
        seed,
        threads,
      },
      replay: replay ? { text: (length) => cut(told, length), share: 0.5 } : null,
      reading: {
        pairs: test!,
        effects: 'exact',
        task: { metric: 'logit_difference', ablation: 'patch', batch: 32, positions: null },
        unrelated: async (model) => (await crossEntropy(model, unseen)).loss,
      },
      scratch,
    });
    const names = ['base', 'clean', 'poisoned', 'retrained'] as const;
    const results = [];
    for (const name of names) {
      results.push({ phase: name, result: await phases.run({ name }) });
    }
    const summary = summarise(results, heads, seed);
    const at = watched.layer * heads + watched.head;
    return {
      seed,
      replay,
      verdicts: summary.verdicts,
      hysteresis: summary.hysteresis,
      points: summary.checkpoints.map(({ phase, step, metric, unrelated_loss, compared, effects }) => ({
        phase,
        step,
        F: metric,
        loss: unrelated_loss,
        pearson: compared?.pearson?.estimate ?? null,
        head: effects[at]!,
      })),
    };
  } finally {
    await base.release();
    rmSync(scratch, { recursive: true });
  }
}

async function* cut(stories: readonly number[][], length: number): AsyncGenerator<number[]> {
  for (;;) {
    for (const ids of stories) {
      for (let at = 0; at + length <= ids.length; at += length) {
        yield ids.slice(at, at + length);
      }
    }
  }
}
