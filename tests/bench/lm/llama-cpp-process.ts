/**
 * Entry of the process in which llama.cpp decodes, as the npm package node-llama-cpp has it: greedily, each text in a sequence of its
 * own of one context, which takes them together. A file of its own, since the package starts itself again with this one's options.
 */
import { createInterface } from 'node:readline';
import type { Task } from './measured-process.ts';

type Sequence = {
  clearHistory(): Promise<void>;
  evaluate(ids: number[], options: { temperature: number; yieldEogToken: boolean }): AsyncIterable<number>;
};
type Context = { getSequence(): Sequence };
type Model = { createContext(options: object): Promise<Context> };
type Package = {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<Model>;
    llamaCppRelease: { release: string };
  }>;
};

const [packages, modelPath = '', threads, rows] = process.argv.slice(2);
const { getLlama } = (await import(`${packages}/node_modules/node-llama-cpp/dist/index.js`)) as Package;
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: Number(threads), logLevel: 'error' });
const model = await llama.loadModel({ modelPath });
const options = { sequences: Number(rows), threads: Number(threads), contextSize: 256 };
const context = await model.createContext(options);
const sequences = Array.from({ length: Number(rows) }, () => context.getSequence());
console.log(llama.llamaCppRelease.release);

async function decode(sequence: Sequence, { seq, tokens = 0 }: Task): Promise<void> {
  const ids = Array.from({ length: seq }, (_, i) => (i * 17 + 5) % 32_000);
  let left = tokens;
  for await (const _ of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    left -= 1;
    if (left === 0) {
      return;
    }
  }
  throw new Error(`${left} tokens too few`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line) as Task;
  for (const sequence of sequences) {
    await sequence.clearHistory();
  }
  const start = performance.now();
  await Promise.all(sequences.slice(0, task.batch).map((sequence) => decode(sequence, task)));
  console.log(performance.now() - start);
}
process.exit();
