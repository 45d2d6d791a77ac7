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
const EDGES = 400;

/** @param folders of the base, then of its checkpoints; prints one JSON line for each */
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
    const found = await foundOrRefused(folder, runs, {
      method: { kind: 'exact', level: 'nodes', direction: 'corrupt' },
      selection: { kind: 'top', edges: 26 },
      absolute: true,
      curve: false,
      seed: 0,
      threads,
    });
    if (!found) {
      await runs.release();
      await model.release();
      continue;
    }
    const heads = found.effects!.filter(({ node }) => node.startsWith('a'));
    const top = new Set(
      [...heads]
        .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect))
        .slice(0, 26)
        .map(({ node }) => node.slice(1).replace('.h', '.')),
    );
    const recall = Object.fromEntries(
      Object.entries(PUBLISHED).map(([name, list]) => {
        const wanted = list.split(' ');
        return [name, `${wanted.filter((head) => top.has(head)).length} of ${wanted.length}`];
      }),
    );
    const own = await checkpointCircuit(runs, EDGES, base, 0, threads);
    base ??= own.circuit;
    const { edge_jaccard, own: faithful, of_base } = own;
    console.log(JSON.stringify({ folder, F: found.task.clean, recall, edge_jaccard, faithful, of_base }));
    await runs.release();
    await model.release();
  }
}

/** A checkpoint may not do the task any more: that is said of it, and the others go on. */
async function foundOrRefused(folder: string, ...of: Parameters<typeof findCircuit>) {
  try {
    return await findCircuit(...of);
  } catch (error) {
    if (error instanceof SextantError && error.code === 'data_invalid') {
      console.log(JSON.stringify({ folder, refused: error.message }));
      return null;
    }
    throw error;
  }
}
