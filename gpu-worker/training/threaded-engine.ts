/**
 * A loop engine in a thread of its own. `run` of onnxruntime blocks its thread, so only this way does JavaScript prepare
 * the next chunk, or answer anyone, while a chunk is computed. Data are copied once on the way; state stays there.
 */
import { Worker } from 'node:worker_threads';
import type { HostArray } from '../graph/index.ts';
import { EngineError, type EngineErrorCode, type Provider, type SessionOptions } from '../runtime/index.ts';
import type { State, StepEngine, StepResult } from './engines.ts';
import type { LoopPlan } from './loop-engine.ts';

export type Setup = { plan: LoopPlan; initial: State; options: SessionOptions & { provider: Provider } };
export type Request =
  | { call: 'run'; steps: number; perStep: Parameters<StepEngine['run']>[1]; shared: Parameters<StepEngine['run']>[2] }
  | { call: 'accept' | 'discard'; result: number }
  | { call: 'state'; result: number | undefined }
  | { call: 'release' };
export type Reply = { value: unknown } | { code: EngineErrorCode | undefined; message: string };

export async function threadedEngine(plan: LoopPlan, initial: State, options: Setup['options']): Promise<StepEngine> {
  const workerData: Setup = { plan, initial, options };
  const worker = new Worker(new URL('./engine-thread.ts', import.meta.url), { workerData });
  const waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  const failAll = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  worker.on('message', (reply: Reply) => {
    const { resolve, reject } = waiting.shift()!;
    if ('value' in reply) resolve(reply.value);
    else reject(reply.code ? new EngineError(reply.code, reply.message) : new Error(reply.message));
  });
  worker.on('error', failAll);
  worker.on('exit', () => failAll(new EngineError('session_released', `${plan.program.name}: its thread has ended`)));
  // Replies come in the order of requests; the first one says that the program is loaded.
  const reply = () => new Promise<unknown>((resolve, reject) => waiting.push({ resolve, reject }));
  const ask = (request: Request) => {
    worker.postMessage(request);
    return reply();
  };
  await reply().catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  return {
    provider: options.provider,
    run: (steps, perStep, shared) =>
      ask({ call: 'run', steps, perStep: whole(perStep), shared }) as Promise<StepResult>,
    accept: ({ next }) => void ask({ call: 'accept', result: next as number }).catch(() => undefined),
    discard: ({ next }) => void ask({ call: 'discard', result: next as number }).catch(() => undefined),
    state: (result) => ask({ call: 'state', result: result?.next as number | undefined }) as Promise<State>,
    async release() {
      await ask({ call: 'release' });
      // Only an idle thread may be ended: in mid-run it would take the process with it.
      await worker.terminate();
    },
  };
}

/** Views as arrays of their own: a message would carry the whole buffer behind a view. */
const whole = (feeds: Readonly<Record<string, HostArray>>): Record<string, HostArray> =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, data]) => [
      name,
      data.byteLength === data.buffer.byteLength ? data : data.slice(),
    ]),
  );
