/** Refusal of programs that would not fit into memory. */
import { totalmem } from 'node:os';
import { bytesOf, peakBytes } from '../graph/index.ts';
import { EngineError } from '../runtime/index.ts';
import type { TrainingStep } from './program.ts';

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Memory of this process or container in bytes. */
function machineMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** Bytes that training needs: the state on the host, twice inside the loop, and the values alive within a step. */
function estimateBytes({ spec, frozen }: TrainingStep): { state: number; step: number; total: number } {
  const state = spec.carried.reduce((sum, { leaf }) => sum + bytesOf(leaf), 0);
  const fixed = frozen.reduce((sum, leaf) => sum + bytesOf(leaf), 0);
  const step = peakBytes([...spec.carried.map(({ next }) => next), ...Object.values(spec.collected)]);
  return { state, step, total: 3 * state + fixed + step };
}

/** Raises `memory_budget_exceeded`, with the estimate, where the program does not fit. */
export function requireBudget(plan: TrainingStep, { memoryBudget = machineMemory() }: { memoryBudget?: number }): void {
  const { state, step, total } = estimateBytes(plan);
  if (total <= memoryBudget) {
    return;
  }
  throw new EngineError(
    'memory_budget_exceeded',
    `${plan.spec.name} needs about ${megabytes(total)} (state ${megabytes(state)}, one step ${megabytes(step)}); the budget is ${megabytes(memoryBudget)}`,
  );
}
