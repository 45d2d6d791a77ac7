/** The other side of `generation-threads.ts`: one model on one core, which answers requests in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { SextantError } from '../../shared/contracts/problem.ts';
import { generate } from './generate.ts';
import type { Reply, Request, Setup } from './generation-threads.ts';
import { loadModel } from './model.ts';

const port = parentPort!;
const model = loadModel((workerData as Setup).path, { threads: 1 });

async function replyOf({ prompts, options }: Request): Promise<Reply> {
  try {
    return { value: await generate(await model, prompts, options) };
  } catch (error) {
    const code = error instanceof SextantError ? error.code : undefined;
    return { code, message: error instanceof Error ? error.message : String(error) };
  }
}

let queue = Promise.resolve();
port.on('message', (request: Request) => {
  queue = queue.then(async () => port.postMessage(await replyOf(request)));
});
