import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { attributeTask } from '../../../gpu-worker/circuits/attribution/task-scores.ts';
import { emptyCircuit } from '../../../gpu-worker/circuits/graph/circuit.ts';
import { nodeModel } from '../../../gpu-worker/circuits/network/node-model.ts';
import { record } from '../../../gpu-worker/circuits/network/recording.ts';
import { patchedVariants } from '../../../gpu-worker/circuits/patching/node-effects.ts';
import { outside } from '../../../gpu-worker/circuits/search/faithfulness.ts';
import { exactEdges } from '../../../gpu-worker/circuits/search/find-circuit.ts';
import { TaskRuns } from '../../../gpu-worker/circuits/search/task-runs.ts';
import { measureRows } from '../../../gpu-worker/circuits/tasks/metric.ts';
import type { LanguageModel } from '../../../gpu-worker/lm/index.ts';
import { loadModel, readWeight } from '../../../gpu-worker/lm/index.ts';
import { stream } from '../../../shared/math/random.ts';
import { randomPairs } from '../../support/circuit-pairs.ts';
import { linearModel } from '../../support/linear-model.ts';
import { openTiny } from '../../support/open-tiny.ts';
import { gap, TINY, tinyModel } from '../../support/tiny-model.ts';

/** One of each way in which blocks differ here: biases, parallel branches, grouped queries, norms of heads, experts, inner norms. */
const STRUCTURES = ['gpt2', 'gpt_neox', 'llama', 'gemma', 'qwen3', 'qwen3_moe', 'bitnet'].map(
  (name) => [name, TINY[name]!] as const,
);
const largest = (values: ArrayLike<number>) => Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

async function runsOf(model: LanguageModel, count: number, length: number): Promise<TaskRuns> {
  const pairs = await randomPairs(model, count, length);
  const settings = { nodes: nodeModel(model), pairs, metric: 'logit_difference', ablation: 'patch', batch: 2 } as const;
  return new TaskRuns({ ...settings, positions: null, threads: 1 });
}

describe.each(STRUCTURES)('%s taken apart', (_, config) => {
  // One model and its programs for all of these: compiling them is most of the work.
  let runs: TaskRuns;
  let close: () => Promise<void>;
  beforeAll(async () => {
    const { folder, remove } = tinyModel(config, { seed: 1 });
    const model = await loadModel(folder, { threads: 1 });
    runs = await runsOf(model, 2, 6);
    close = async () => {
      await runs.release();
      await model.release();
      remove();
    };
  });
  afterAll(() => close());

  it('is itself with no edge changed, and the corrupted run with all changed', async () => {
    const { graph } = runs.nodes;
    const plain = await runs.plain();
    const none = emptyCircuit(graph);
    const [same, other] = await runs.changedEdges(2, () =>
      [none, none.map(() => 1)].map((c) => outside(graph, c)).reverse(),
    );
    expect(gap(same!, plain.clean)).toBeLessThan(1e-5 * largest(plain.clean) + 1e-5);
    expect(gap(other!, plain.corrupted)).toBeLessThan(1e-4);
  });

  it('has slopes of its edges that agree with small changes of them', async () => {
    const { graph } = runs.nodes;
    const { scores } = await attributeTask(runs, { kind: 'eap' }, { threads: 1 });
    const all = [...graph.edges()];
    const chosen = Array.from(stream(5, 'edges').subset(all.length, 8), (i) => all[i]!);
    const step = 0.005;
    const shares = function* () {
      for (const edge of chosen) {
        for (const sign of [1, -1]) {
          const share = new Float32Array(emptyCircuit(graph).length);
          share[graph.at(edge)] = sign * step;
          yield share;
        }
      }
    };
    const values = await runs.changedEdges(2 * chosen.length, shares);
    const mean = (x: Float64Array) => x.reduce((sum, value) => sum + value, 0) / x.length;
    const slopes = chosen.map((_, i) => (mean(values[2 * i]!) - mean(values[2 * i + 1]!)) / (2 * step));
    const own = chosen.map((edge) => scores[graph.at(edge)]!);
    expect(largest(own)).toBeGreaterThan(0);
    expect(gap(slopes, own)).toBeLessThan(5e-3 * largest(own) + 5e-4);
  });

  it('has direct effects by formula that agree with runs in which all else is frozen', async () => {
    const { graph } = runs.nodes;
    const sources = graph.sources.map((_, source) => source);
    const formula = await runs.pathsTo(sources, [graph.logits], 'frozen');
    for (const { pairs, at } of runs.batches) {
      const ids = pairs.map(({ clean }) => clean);
      const clean = await record(runs.nodes, ids);
      const corrupted = await record(
        runs.nodes,
        pairs.map((pair) => pair.corrupted),
      );
      await patchedVariants(
        runs.nodes,
        ids,
        sources.map((source) => [source]),
        { reference: corrupted.recording, frozen: { at: clean.recording, mlps: true } },
        (variant, logits) =>
          expect(
            gap(
              measureRows('logit_difference', logits, pairs),
              at.map((i) => formula[variant]![i]!),
            ),
          ).toBeLessThan(1e-4),
      );
    }
  });

  it('gives the same from the patched layer on as from the beginning', async () => {
    const sources = runs.nodes.graph.sources.map((_, source) => source);
    const tails = await runs.patchedSources(sources);
    for (const { pairs, at } of runs.batches) {
      const ids = pairs.map(({ clean }) => clean);
      const { recording } = await record(
        runs.nodes,
        pairs.map(({ corrupted }) => corrupted),
      );
      const each = sources.map((source) => [source]);
      await patchedVariants(runs.nodes, ids, each, { reference: recording }, (variant, logits) => {
        const whole = measureRows('logit_difference', logits, pairs);
        const tail = at.map((pair) => tails[variant]![pair]!);
        expect(gap(whole, tail)).toBeLessThan(1e-5 * largest(whole) + 1e-5);
      });
    }
  });

  it('does not change where a run is patched with itself', async () => {
    const ids = runs.pairs.slice(0, 2).map(({ clean }) => clean);
    const { recording, logits } = await record(runs.nodes, ids);
    const all = runs.nodes.graph.sources.map((_, source) => [source]);
    await patchedVariants(runs.nodes, ids, all, { reference: recording }, (_, patched) =>
      expect(gap(patched, logits)).toBe(0),
    );
  });
});

it('refuses models whose stream is no sum of heads', async () => {
  const model = await openTiny(TINY.gemma2!);
  expect(() => nodeModel(model)).toThrow(/gemma2 norms what attention and MLP give/);
});

it('scores edges of a linear model as exact patching does', async () => {
  const runs = await runsOf(await linearModel(), 3, 6);
  onTestFinished(() => runs.release());
  const plain = await runs.plain();
  const { scores } = await attributeTask(runs, { kind: 'eap' }, { threads: 1 });
  const exact = await exactEdges(runs, plain.clean);
  expect(largest(exact)).toBeGreaterThan(1e-3);
  expect(gap(scores, exact)).toBeLessThan(1e-3 * largest(exact));
});

it('adds up the heads of a layer to its whole attention output', async () => {
  const model = await openTiny(TINY.gpt2!);
  const { heads, width } = model.architecture;
  const hooks = Array.from({ length: heads }, (_, head) => `head_out.1.${head}`);
  const { taps } = await model.forward({ ids: [[3, 1, 4, 1, 5]], taps: ['attn_out.1', ...hooks] });
  const bias = readWeight(model.folder, model.folder.weights.layers[1]!.output.bias!.name);
  const sum = taps['attn_out.1']!.data.map((_, i) =>
    hooks.reduce((total, hook) => total + taps[hook]!.data[i]!, bias[i % width]!),
  );
  expect(gap(sum, taps['attn_out.1']!.data)).toBeLessThan(1e-5);
});
