/** Indirect objects in a user's GPT-2 small and checkpoints of it: which of the 26 published heads are found, by class. */
import {
  checkpointCircuit,
  encodePairs,
  findCircuit,
  ioiPairs,
  nodeModel,
  TaskRuns,
} from '../../../gpu-worker/circuits/index.ts';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';

/** Heads of Wang et al. (2022), layer.head. */
const PUBLISHED: Readonly<Record<string, string>> = {
  'name mover': '9.9 10.0 9.6',
  'backup name mover': '10.10 10.6 10.2 10.1 11.2 9.7 9.0 11.9',
  'negative name mover': '10.7 11.10',
  'S-inhibition': '7.3 7.9 8.6 8.10',
  induction: '5.5 5.8 5.9 6.9',
  'duplicate token': '0.1 0.10 3.0',
  'previous token': '2.2 4.11',
};
/** Layers and heads of the model that they are heads of. */
const SHAPE = [12, 12] as const;
const EDGES = 400;

/**
 * @param folders of the base, then of its checkpoints; prints one JSON line for each
 * @throws SextantError `data_invalid` where names are not single tokens, or the base does not do the task
 */
export async function ioiStudy(folders: readonly string[], count: number, threads: number): Promise<void> {
  let base: Awaited<ReturnType<typeof checkpointCircuit>>['circuit'] | null = null;
  for (const folder of folders) {
    const model = await loadModel(folder, { threads, spinning: false });
    if (!model.tokenizer) {
      throw new Error(`${folder} has no tokenizer.json`);
    }
    const pairs = encodePairs(model, ioiPairs(model.tokenizer, { pairs: count, corruption: 'abc', seed: 0 }), null);
    const settings = { metric: 'logit_difference', ablation: 'patch', batch: 16, positions: null, threads } as const;
    const runs = new TaskRuns({ ...settings, nodes: nodeModel(model), pairs });
    const asked: FindSettings = {
      method: { kind: 'exact', level: 'nodes', direction: 'corrupt' },
      selection: { kind: 'top', edges: 26 },
      absolute: true,
      curve: false,
      seed: 0,
      threads,
    };
    const found = base ? await foundOrRefused(folder, runs, asked) : await findCircuit(runs, asked);
    if (!found) {
      await runs.release();
      await model.release();
      continue;
    }
    const recall = recallOf(found.effects!, model.architecture);
    const own = await checkpointCircuit(runs, EDGES, base, 0, threads);
    base ??= own.circuit;
    const { edge_jaccard, own: faithful, of_base } = own;
    console.log(JSON.stringify({ folder, F: found.task.clean, recall, edge_jaccard, faithful, of_base }));
    await runs.release();
    await model.release();
  }
}

/** How many of the published heads are among the 26 with the largest effects, by class; why that is not asked of another shape. */
function recallOf(
  effects: readonly { node: string; effect: number }[],
  { layers, heads }: { layers: number; heads: number },
) {
  if (layers !== SHAPE[0] || heads !== SHAPE[1]) {
    return `the published heads are those of ${SHAPE.join(' x ')} heads; this model has ${layers} x ${heads}`;
  }
  const top = new Set(
    effects
      .filter(({ node }) => node.startsWith('a'))
      .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect))
      .slice(0, 26)
      .map(({ node }) => node.slice(1).replace('.h', '.')),
  );
  return Object.fromEntries(
    Object.entries(PUBLISHED).map(([name, list]) => {
      const wanted = list.split(' ');
      return [name, `${wanted.filter((head) => top.has(head)).length} of ${wanted.length}`];
    }),
  );
}

type FindSettings = Parameters<typeof findCircuit>[1];

/** A checkpoint may not do the task any more: that is said of it, and the others go on. */
async function foundOrRefused(folder: string, runs: TaskRuns, asked: FindSettings) {
  try {
    return await findCircuit(runs, asked);
  } catch (error) {
    if (error instanceof SextantError && error.code === 'data_invalid') {
      console.log(JSON.stringify({ folder, refused: error.message }));
      return null;
    }
    throw error;
  }
}
