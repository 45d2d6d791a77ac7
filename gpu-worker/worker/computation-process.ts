/** Entry of a computing process: takes orders, runs their handlers and reports, until it is ended. */
import { flushCompileCache } from 'node:module';
import { Socket } from 'node:net';
import { SextantError } from '../../shared/contracts/problem.ts';
import { JOB_HANDLERS } from '../jobs/index.generated.ts';
import { Standing } from '../jobs/standing.ts';
import { requireFiniteNumbers } from '../study/index.ts';
import { CheckpointLine } from './checkpoint-line.ts';
import { computationFailure } from './computation-failure.ts';
import type { FromProcess, Order, Report, ToProcess } from './computation-messages.ts';
import { readFrames, writeFrame } from './frames.ts';
import { createContext } from './job-context.ts';
import { PeakMemory } from './peak-memory.ts';
import { Residue } from './residue.ts';
import { runReport } from './run-report.ts';

const [folder = '', limit = '0'] = process.argv.slice(2);
const standing = new Standing(folder, Number(limit));
const residue = new Residue();
const running = new Map<number, { checkpoints: CheckpointLine; stopping: AbortController }>();
const memory = new PeakMemory();

/** Pipes from and to the worker process, beside the three that every process has. */
const fromWorker = new Socket({ fd: 3, readable: true, writable: false });
const toWorker = new Socket({ fd: 4, readable: false, writable: true });
const send = (message: FromProcess): Promise<void> => writeFrame(toWorker, message);

async function compute(
  number: number,
  order: Order,
  checkpoints: CheckpointLine,
  stopping: AbortSignal,
): Promise<Report> {
  const started = performance.now();
  const load = Object.hasOwn(JOB_HANDLERS, order.type) ? JOB_HANDLERS[order.type] : undefined;
  if (!load) {
    throw new SextantError('job_type_unknown', `this worker has no handler for ${order.type}`);
  }
  const report = (message: Report) => void send({ ...message, order: number });
  const { context, artefacts, quantised } = createContext(order, report, checkpoints, { standing, stopping });
  const handler = await load();
  residue.loaded();
  // Kept for the next process: this one may be killed, and would keep nothing at its end.
  flushCompileCache();
  const { result, metrics, published, run } = await handler(context);
  requireFiniteNumbers(result, 'the result');
  requireFiniteNumbers(published, 'what is published');
  return {
    kind: 'done',
    written: {
      result: result as Record<string, unknown>,
      metrics,
      published,
      run: runReport(run, { wall_s: (performance.now() - started) / 1000, peak_rss_bytes: memory.peak() }, quantised),
      artefacts,
    },
    clean: residue.isNone(),
  };
}

/** What every attempt would meet, and an end that was asked for, leave the process sound; after the others nobody can say. */
function failed(error: unknown, stopped: boolean): Report {
  const failure = computationFailure(error);
  const sound = stopped || error instanceof SextantError;
  if (!sound && (failure.code === 'computation_crashed' || failure.code === 'internal')) {
    console.error(error);
  }
  return { kind: 'failed', ...failure, clean: sound && residue.isNone() };
}

async function take(number: number, order: Order): Promise<void> {
  const checkpoints = new CheckpointLine((message) => void send({ ...message, order: number }));
  if (running.size === 0) {
    memory.begin();
  }
  const stopping = new AbortController();
  running.set(number, { checkpoints, stopping });
  const report = await compute(number, order, checkpoints, stopping.signal).catch((error) =>
    failed(error, stopping.signal.aborted),
  );
  running.delete(number);
  await send({ ...report, order: number });
}

// A service manager or a terminal signals all processes at once; the worker ends this one when its job has saved where it stands.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {});
}

// The worker process is gone: nobody would take the result, and another attempt may already be running.
const orphaned = (): void => process.exit(1);
fromWorker.on('close', orphaned);
toWorker.on('error', orphaned);
readFrames(fromWorker, {
  message(given) {
    const message = given as ToProcess;
    switch (message.kind) {
      case 'order':
        void take(message.order, message.what);
        return;
      case 'forget':
        void standing.forget(message.digests);
        return;
      case 'stop':
        running.get(message.order)?.stopping.abort();
        return;
      default:
        running.get(message.order)?.checkpoints.heard(message);
    }
  },
  broken: orphaned,
});
void send({ kind: 'ready' });
