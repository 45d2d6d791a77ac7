import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../gpu-worker/runtime/index.ts';
import { computationFailure } from '../../../gpu-worker/worker/computation-failure.ts';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import { failRequestSchema } from '../../../shared/contracts/worker-call.ts';

describe('a failed computation', () => {
  it.each([
    [new SextantError('data_invalid', 'no'), 'data_invalid', false],
    [new SextantError('unavailable', 'later'), 'unavailable', true],
    [new EngineError('loss_not_finite', 'step 3'), 'not_finite', false],
    [new EngineError('memory_budget_exceeded', 'too large'), 'memory_exceeded', false],
    [new EngineError('program_rejected', 'no such operator'), 'computation_crashed', false],
    [new EngineError('run_failed', 'indices element out of data bounds'), 'computation_crashed', false],
    [new EngineError('run_failed', 'Failed to allocate memory for requested buffer'), 'memory_exceeded', false],
    [new EngineError('program_rejected', 'std::bad_alloc'), 'memory_exceeded', false],
    [new EngineError('provider_unavailable', 'no such device'), 'device_unavailable', true],
    [Object.assign(new Error('no such file'), { code: 'ENOENT' }), 'computation_crashed', false],
    [Object.assign(new Error('no space left'), { code: 'ENOSPC' }), 'disk_full', true],
    [new EngineError('run_failed', 'write failed: No space left on device'), 'disk_full', true],
    [Object.assign(new Error('read-only'), { code: 'EROFS' }), 'cache_unusable', true],
    [Object.assign(new Error('libonnxruntime.so: cannot open'), { code: 'ERR_DLOPEN_FAILED' }), 'runtime_broken', true],
    [new SextantError('job_type_unknown', 'no such type'), 'job_type_unknown', true],
    [new TypeError('x is not a function'), 'internal', false],
    [new Error('anything'), 'computation_crashed', true],
    ['a string', 'computation_crashed', true],
  ])('%s is reported as %s', (error, code, retryable) => {
    expect(computationFailure(error)).toMatchObject({ code, retryable });
  });

  it('is the fault of the host where the machine or what is installed on it broke', () => {
    const errno = (code: string) => Object.assign(new Error('x'), { code });
    const hosts = [
      errno('ENOSPC'),
      errno('EROFS'),
      errno('ERR_DLOPEN_FAILED'),
      new SextantError('job_type_unknown', ''),
    ];
    expect(hosts.map((error) => computationFailure(error).host)).toEqual([true, true, true, true]);
    const jobs = [
      errno('ENOENT'),
      new SextantError('data_invalid', ''),
      new SextantError('unavailable', ''),
      new Error('x'),
    ];
    expect(jobs.map((error) => computationFailure(error).host)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it.each([
    ['External data path escapes: "/srv/models/a/model.safetensors"', 'External data path escapes: "[path]"'],
    [
      "ENOENT: no such file or directory, open '/var/lib/worker/scratch/x.json'",
      "ENOENT: no such file or directory, open '[path]'",
    ],
    ['at file:///opt/app/index.ts:3', 'at [path]:3'],
    ['a ratio of 3/4', 'a ratio of 3/4'],
  ])('names no path of the disk: %s', (message, shown) => {
    expect(computationFailure(new EngineError('program_rejected', message)).detail).toBe(shown);
    expect(computationFailure(new Error(message)).detail).toBe(shown);
  });

  it('says which values were wrong, in bounds that the edge accepts', () => {
    const detail = 'the text has no tokens';
    expect(computationFailure(paramError('data_invalid', '/texts/3', detail))).toEqual({
      code: 'data_invalid',
      detail,
      errors: [{ pointer: '/params/texts/3', code: 'data_invalid', detail }],
      retryable: false,
    });
    const pointed = new SextantError('data_invalid', '/copies/0/model: its width is 32');
    expect(computationFailure(pointed)).toEqual({
      code: 'data_invalid',
      detail: '/copies/0/model: its width is 32',
      errors: [{ pointer: '/params/copies/0/model', code: 'data_invalid', detail: 'its width is 32' }],
      retryable: false,
    });
    const one = { pointer: `/${'x'.repeat(5000)}`, code: 'c', detail: 'y'.repeat(5000) };
    const many = new SextantError('data_invalid', 'z'.repeat(5000), { errors: Array.from({ length: 150 }, () => one) });
    const { retryable: _, ...error } = computationFailure(many);
    expect(error.errors).toHaveLength(100);
    expect(failRequestSchema.safeParse({ error, retryable: false }).success).toBe(true);
  });
});
