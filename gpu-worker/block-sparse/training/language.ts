/** A language model whose chosen linear layers are made by a method, all of it fine-tuned from where it stands. */
import type { Linear, ModelWeights } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import { lossGraph, type ModelFolder, matchesAny, readWeight } from '../../lm/index.ts';
import { Session } from '../../runtime/index.ts';
import { type Values, weightName } from '../methods/method.ts';
import type { Score } from './evaluation.ts';
import type { LinearShape, MadeModel } from './model.ts';
import type { Problem } from './problem.ts';
import { batchPositions } from './samples.ts';
import type { Subject } from './subject.ts';

/** Sequences of context + 1 tokens. */
type LanguageData = {
  train: readonly Uint32Array[];
  validation: readonly Uint32Array[];
  test: readonly Uint32Array[];
};

const isLinear = (value: unknown): value is Linear =>
  typeof value === 'object' && value !== null && 'layout' in value && 'weight' in value;

/** Every linear layer of the transformer's blocks, by its name without `.weight`, with how its weight is stored. */
export function blockLinears(weights: ModelWeights): (LinearShape & { layout: Linear['layout'] })[] {
  const found = new Map<string, Linear>();
  const visit = (value: unknown): void => {
    if (isLinear(value)) {
      found.set(value.weight.name, value);
    } else if (typeof value === 'object' && value !== null) {
      Object.values(value).forEach(visit);
    }
  };
  visit(weights.layers);
  return [...found.values()].map(({ weight, layout }) => {
    const [first, second] = weight.shape as [number, number];
    const [inputs, outputs] = layout === 'in_out' ? [first, second] : [second, first];
    return { name: weight.name.replace(/\.weight$/, ''), inputs, outputs, rows: 1, layout };
  });
}

/** Those whose weights match a pattern; `*` stands for any characters. */
export const matchingLinears = (weights: ModelWeights, patterns: readonly string[]) =>
  blockLinears(weights).filter(({ name }) => matchesAny(patterns, weightName(name)));

/** A matrix [rows, columns] as [columns, rows]. */
export function turnedWeight(values: ArrayLike<number>, rows: number, columns: number): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

export function languageSubject(
  folder: ModelFolder,
  data: LanguageData,
  { patterns, context, batch }: { patterns: readonly string[]; context: number; batch: number },
): Subject {
  const { architecture, weights } = folder;
  const linears = matchingLinears(weights, patterns);
  const all = blockLinears(weights);
  const other = all.filter(({ name }) => !linears.some((linear) => linear.name === name));
  const lossOf = ({ method, layers }: MadeModel): g.Tensor => {
    const { loss } = lossGraph(architecture, weights, {
      batch,
      seq: context,
      made({ name }) {
        const layer = layers.find((one) => weightName(one.name) === name);
        if (!layer) {
          return undefined;
        }
        const weight = method.weight(layer);
        const { layout } = linears.find((one) => one.name === layer.name) ?? { layout: 'in_out' as const };
        return layout === 'in_out' ? weight : g.transpose(weight);
      },
    });
    return loss;
  };
  const feedsOf = (sequences: readonly Uint32Array[]) => {
    const [ids, labels] = [new BigInt64Array(batch * context), new BigInt64Array(batch * context)];
    sequences.forEach((sequence, r) => {
      for (let i = 0; i < context; i++) {
        ids[r * context + i] = BigInt(sequence[i]!);
        labels[r * context + i] = BigInt(sequence[i + 1]!);
      }
    });
    return { ids, labels };
  };
  const score = async (model: MadeModel, threads: number, sequences: readonly Uint32Array[]) => {
    const session = await Session.create(g.compile({ loss: lossOf(model) }, { name: 'evaluation' }), {
      threads,
      spinning: false,
    });
    return {
      async score(values: Values): Promise<Score> {
        const names = session.program.inputs.map(({ name }) => name).filter((name) => name in values);
        const parameters = Object.fromEntries(names.map((name) => [name, values[name]!]));
        let [total, batches] = [0, 0];
        for (let from = 0; from + batch <= sequences.length; from += batch, batches++) {
          const feeds = feedsOf(sequences.slice(from, from + batch));
          const shaped = Object.entries(feeds).map(
            ([name, ids]) => [name, { shape: [batch, context], data: ids }] as const,
          );
          const { loss } = await session.run({ ...parameters, ...Object.fromEntries(shaped) });
          total += Number(loss!.data[0]);
        }
        return { loss: total / batches, accuracy: null };
      },
      release: () => session.release(),
    };
  };
  const initial = ({ method, layers }: MadeModel) => {
    const made = layers.map((layer) => {
      const { layout } = linears.find((one) => one.name === layer.name) ?? { layout: 'in_out' as const };
      const stored = readWeight(folder, weightName(layer.name));
      return method.start(layer, layout === 'in_out' ? stored : turnedWeight(stored, layer.outputs, layer.inputs));
    });
    const kept = [...folder.stored.keys()].filter((name) => !layers.some((layer) => weightName(layer.name) === name));
    return Object.assign(Object.fromEntries(kept.map((name) => [name, readWeight(folder, name)])), ...made) as Record<
      string,
      ArrayLike<number>
    >;
  };
  const problem = (seed: number): Problem => {
    const positions = batchPositions(data.train.length, batch, seed);
    return {
      loss: lossOf,
      feeds: (step) => feedsOf(Array.from(positions(step), (i) => data.train[i]!)),
      stepBytes: 16 * batch * context,
      scorer: (model, threads) => score(model, threads, data.validation),
      initial,
    };
  };
  return {
    shapes: linears,
    otherMacs: other.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0),
    problem,
    async test(model, values, threads) {
      const scorer = await score(model, threads, data.test);
      return scorer.score(values).finally(() => scorer.release());
    },
  };
}
