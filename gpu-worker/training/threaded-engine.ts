/**
 * A loop engine in a thread of its own. `run` of onnxruntime blocks its thread, so only this way does JavaScript prepare
 * the next chunk, or answer anyone, while a chunk is computed. Data are copied once on the way; state stays there.
 */
import type { HostArray } from '../graph/index.ts';
import { AskedThread, EngineError, type Provider, type SessionOptions } from '../runtime/index.ts';
import type { State, StepEngine, StepResult } from './engine.ts';
import type { LoopPlan } from './loop-engine.ts';

export type Setup = { plan: LoopPlan; initial: State; options: SessionOptions & { provider: Provider } };
export type Request =
  | { call: 'load' }
  | { call: 'run'; steps: number; perStep: Parameters<StepEngine['run']>[1]; shared: Parameters<StepEngine['run']>[2] }
  | { call: 'accept' | 'discard'; result: number }
  | { call: 'state'; result: number | undefined }
  | { call: 'release' };

export async function threadedEngine(plan: LoopPlan, initial: State, options: Setup['options']): Promise<StepEngine> {
  const workerData: Setup = { plan, initial, options };
  const ended = new EngineError('session_released', `${plan.program.name}: its thread has ended`);
  const thread = new AskedThread<Request>(new URL('./engine-thread.ts', import.meta.url), workerData, ended);
  const ask = (request: Request) => thread.ask(request);
  await ask({ call: 'load' }).catch(async (error: unknown) => {
    await thread.end();
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
      await thread.end();
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
