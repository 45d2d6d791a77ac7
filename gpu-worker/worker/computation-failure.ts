/** What a thrown error says of the job: the code its clients see, and whether another attempt could go better. */
import { type JobFailureCode, SextantError } from '../../shared/contracts/problem.ts';
import { EngineError } from '../runtime/index.ts';

type ComputationFailure = { code: JobFailureCode; detail: string; retryable: boolean };

/** Errors of running programs that the same params would meet again. */
const ENGINE_CODES: Partial<Record<EngineError['code'], JobFailureCode>> = {
  loss_not_finite: 'not_finite',
  memory_budget_exceeded: 'memory_exceeded',
};

export function computationFailure(error: unknown): ComputationFailure {
  const detail = String(error instanceof Error ? error.message : error).slice(0, 2000);
  if (error instanceof SextantError) return { code: error.code, detail, retryable: error.code === 'unavailable' };
  const code = error instanceof EngineError ? ENGINE_CODES[error.code] : undefined;
  return code ? { code, detail, retryable: false } : { code: 'computation_crashed', detail, retryable: true };
}
