/** The memory that the scores of all edges take above a loaded model, in a process of its own. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EdgeAttribution, nodeModel } from '../../../gpu-worker/circuits/index.ts';
import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { BATCH, benchPairs, SEQ } from './pairs.ts';

export type Memory = { above: number; activations: number; ratio: number };

/** Peak of a first run, and what lay there before it. */
export function memoryOf(folder: string, threads: number): Memory {
  const out = execFileSync(process.execPath, [import.meta.filename, folder, String(threads)], { encoding: 'utf8' });
  return JSON.parse(out.trim().split('\n').at(-1)!) as Memory;
}

const kilobytes = (field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);

if (process.argv[1] === import.meta.filename) {
  const threads = Number(process.argv[3]);
  const model = await loadModel(process.argv[2]!, { threads });
  const nodes = nodeModel(model);
  const pairs = benchPairs(model.architecture.vocabulary);
  const attribution = await EdgeAttribution.open(nodes, 'logit_difference', threads);
  // The programs are there and have run, on a batch that takes no room.
  const small = pairs
    .slice(0, 1)
    .map((pair) => ({ ...pair, clean: pair.clean.slice(0, 2), corrupted: pair.corrupted.slice(0, 2) }));
  await attribution.scores(small, { kind: 'eap' });
  const before = kilobytes('VmRSS');
  await attribution.scores(pairs, { kind: 'eap' });
  const above = 1024 * (kilobytes('VmHWM') - before);
  const sites = nodes.graph.sources.length + nodes.graph.readers.length;
  const activations = 4 * sites * BATCH * SEQ * nodes.graph.width;
  console.log(JSON.stringify({ above, activations, ratio: above / activations }));
}
