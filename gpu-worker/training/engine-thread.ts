/** The other side of `threaded-engine.ts`: hosts one loop engine and answers requests in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { EngineError } from '../runtime/index.ts';
import type { StepEngine, StepResult } from './engines.ts';
import { loopEngine } from './loop-engine.ts';
import type { Reply, Request, Setup } from './threaded-engine.ts';

const port = parentPort!;
const { plan, initial, options } = workerData as Setup;
/** Results that were neither accepted nor discarded yet; the other side knows them by number. */
const results = new Map<number, StepResult>();
let numbered = 0;

async function answer(engine: StepEngine, request: Request): Promise<unknown> {
  switch (request.call) {
    case 'run': {
      const result = await engine.run(request.steps, request.perStep, request.shared);
      numbered += 1;
      results.set(numbered, result);
      return { metrics: result.metrics, next: numbered };
    }
    case 'accept':
      engine.accept(results.get(request.result)!);
      results.delete(request.result);
      return undefined;
    case 'discard':
      results.delete(request.result);
      return undefined;
    case 'state':
      return engine.state(request.result === undefined ? undefined : results.get(request.result));
    case 'release':
      return engine.release();
    default:
      return request satisfies never;
  }
}

async function replyOf(work: () => Promise<unknown>): Promise<Reply> {
  try {
    return { value: await work() };
  } catch (error) {
    const code = error instanceof EngineError ? error.code : undefined;
    return { code, message: error instanceof Error ? error.message : String(error) };
  }
}

let engine: StepEngine;
let queue = replyOf(async () => {
  engine = await loopEngine(plan, initial, options);
}).then((reply) => port.postMessage(reply));
port.on('message', (request: Request) => {
  queue = queue.then(async () => port.postMessage(await replyOf(() => answer(engine, request))));
});
