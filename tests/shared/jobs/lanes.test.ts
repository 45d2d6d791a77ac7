import { describe, expect, it } from 'vitest';
import { laneOf } from '../../../shared/jobs/contract.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';

const lane = (type: string, params: Record<string, unknown>): string => {
  const contract = JOB_CONTRACTS[type];
  if (!contract) {
    throw new Error(`no ${type}`);
  }
  return laneOf(contract, contract.params.parse(params) as Record<string, unknown>);
};
const model = { local: 'm' };

describe('the lane of a job', () => {
  it.each([
    ['a sentence', { prompts: ['Once upon'], max_tokens: 16 }, 'interactive'],
    ['sixteen rows', { prompts: Array.from({ length: 16 }, () => 'a'), max_tokens: 128 }, 'interactive'],
    ['seventeen rows', { prompts: Array.from({ length: 17 }, () => 'a'), max_tokens: 1 }, 'batch'],
    ['too many tokens', { prompts: ['a'], max_tokens: 2049 }, 'batch'],
    ['a long prompt', { prompts: ['a'.repeat(64_001)], max_tokens: 1 }, 'batch'],
    ['a long conversation', { prompts: [[{ role: 'user', content: 'a'.repeat(64_001) }]], max_tokens: 1 }, 'batch'],
  ])('is chosen by what somebody waits for: %s', (_, params, expected) => {
    expect(lane('lm.generate', { model, ...params })).toBe(expected);
  });

  it('is batch where the contract says nothing, and for what is asked for as batch', () => {
    expect(lane('diagnostics.run', {})).toBe('batch');
    expect(lane('diagnostics.run', { lane: 'interactive', steps: 1 })).toBe('interactive');
    expect(lane('diagnostics.run', { lane: 'interactive', steps: 1, artefact_bytes: 1e8 })).toBe('batch');
    expect(laneOf({}, {})).toBe('batch');
  });

  it('names the same sizes as its limits', () => {
    for (const { interactive, type } of Object.values(JOB_CONTRACTS)) {
      if (interactive) {
        expect(
          Object.values(interactive.largest).every((n) => n > 0),
          type,
        ).toBe(true);
      }
    }
  });
});
