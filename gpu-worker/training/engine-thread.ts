/** The other side of `threaded-engine.ts`: hosts one loop engine and answers requests in order. */
import { workerData } from 'node:worker_threads';
import { answerRequests } from '../runtime/index.ts';
import type { StepEngine, StepResult } from './engine.ts';
import { loopEngine } from './loop-engine.ts';
import type { Request, Setup } from './threaded-engine.ts';

const { plan, initial, options } = workerData as Setup;
/** Results that were neither accepted nor discarded yet; the other side knows them by number. */
const results = new Map<number, StepResult>();
let numbered = 0;
let engine: StepEngine;

async function answer(request: Request): Promise<unknown> {
  switch (request.call) {
    case 'load':
      engine = await loopEngine(plan, initial, options);
      return undefined;
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

answerRequests(answer);
