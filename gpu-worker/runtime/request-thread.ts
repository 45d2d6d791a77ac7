/**
 * A thread that answers requests one by one, in their order. `run` of onnxruntime blocks its thread, so only a thread of its
 * own lets JavaScript go on, or another session compute, meanwhile. Errors come across with their kind and code.
 */
import { parentPort, Worker } from 'node:worker_threads';
import { type JobFailureCode, SextantError } from '../../shared/contracts/problem.ts';
import { EngineError, type EngineErrorCode } from './errors.ts';

type Reply = { value: unknown } | { engine?: EngineErrorCode; sextant?: JobFailureCode; message: string };

export class RequestThread<Request> {
  readonly #worker: Worker;
  readonly #waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];

  /**
   * @param module that calls `answerRequests`
   * @param workerData what the thread is given to begin with
   * @param ended what is raised where the thread ends before it answered
   */
  constructor(module: URL, workerData: unknown, ended: Error) {
    this.#worker = new Worker(module, { workerData });
    this.#worker.on('message', (reply: Reply) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if ('value' in reply) {
        resolve(reply.value);
      } else {
        reject(errorOf(reply));
      }
    });
    const failAll = (error: Error) => {
      for (const { reject } of this.#waiting.splice(0)) {
        reject(error);
      }
    };
    this.#worker.on('error', failAll);
    this.#worker.on('exit', () => failAll(ended));
  }

  /** What the thread answers; raises what it raised. */
  ask(request: Request): Promise<unknown> {
    this.#worker.postMessage(request);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Ends the thread, which must be idle: in mid-run it would take the process with it. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** The thread's side: answers every request, after those that came before it. */
export function answerRequests<Request>(answer: (request: Request) => Promise<unknown>): void {
  const port = parentPort!;
  let queue = Promise.resolve();
  port.on('message', (request: Request) => {
    queue = queue.then(async () => port.postMessage(await replyOf(() => answer(request))));
  });
}

async function replyOf(work: () => Promise<unknown>): Promise<Reply> {
  try {
    return { value: await work() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof EngineError) {
      return { engine: error.code, message };
    }
    return error instanceof SextantError ? { sextant: error.code, message } : { message };
  }
}

function errorOf({ engine, sextant, message }: Exclude<Reply, { value: unknown }>): Error {
  if (engine) {
    return new EngineError(engine, message);
  }
  return sextant ? new SextantError(sextant, message) : new Error(message);
}
