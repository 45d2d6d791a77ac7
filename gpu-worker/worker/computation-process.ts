/** Entry of a computation's process: takes one order, runs its handler, reports, and waits to be ended. */
import { flushCompileCache } from 'node:module';
import { SextantError } from '../../shared/contracts/problem.ts';
import { JOB_HANDLERS } from '../jobs/index.generated.ts';
import { requireFiniteNumbers } from '../study/index.ts';
import { CheckpointLine } from './checkpoint-line.ts';
import { computationFailure } from './computation-failure.ts';
import type { CheckpointAnswer, Order, Report, Urgency } from './computation-messages.ts';
import { createContext } from './job-context.ts';
import { runReport } from './run-report.ts';

const report = (message: Report): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });

const checkpoints = new CheckpointLine((message) => void report(message));

async function compute(order: Order): Promise<void> {
  const started = performance.now();
  const load = JOB_HANDLERS[order.type];
  if (!load) {
    throw new SextantError('job_type_unknown', `this worker has no handler for ${order.type}`);
  }
  const { context, artefacts, quantised } = createContext(order, (message) => void report(message), checkpoints);
  const handler = await load();
  // Kept for the next process: this one is killed, and would keep nothing at its end.
  flushCompileCache();
  const { result, metrics, published, run } = await handler(context);
  requireFiniteNumbers(result, 'the result');
  requireFiniteNumbers(published, 'what is published');
  await report({
    kind: 'done',
    written: {
      result: result as Record<string, unknown>,
      metrics,
      published,
      run: runReport(run, (performance.now() - started) / 1000, quantised),
      artefacts,
    },
  });
}

// The worker process is gone: nobody would take the result, and another attempt may already be running.
process.on('disconnect', () => process.exit(1));
process.once('message', (order: Order) => {
  process.on('message', (message: CheckpointAnswer | Urgency) => checkpoints.heard(message));
  compute(order).catch((error: unknown) => {
    const failure = computationFailure(error);
    if (failure.code === 'computation_crashed' || failure.code === 'internal') {
      console.error(error);
    }
    return report({ kind: 'failed', ...failure });
  });
});
