import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../gpu-worker/runtime/index.ts';
import { computationFailure } from '../../../gpu-worker/worker/computation-failure.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';

describe('a failed computation', () => {
  it.each([
    [new SextantError('data_invalid', 'no'), 'data_invalid', false],
    [new SextantError('unavailable', 'later'), 'unavailable', true],
    [new EngineError('loss_not_finite', 'step 3'), 'not_finite', false],
    [new EngineError('memory_budget_exceeded', 'too large'), 'memory_exceeded', false],
    [new EngineError('run_failed', 'the device has gone'), 'computation_crashed', true],
    [new Error('anything'), 'computation_crashed', true],
    ['a string', 'computation_crashed', true],
  ])('%s is reported as %s', (error, code, retryable) => {
    expect(computationFailure(error)).toMatchObject({ code, retryable });
  });
});
