import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UNIT_COSTS } from '../../../shared/jobs/costs.generated.ts';
import { priceOf, saeWeights, tokenWork } from '../../../shared/jobs/costs.ts';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';
import { CASES, type Case, standInIds, withIds } from '../../bench/costs/cases.ts';

const model = (width: number) => ({
  task: 'language' as const,
  key: 'local:m',
  family: 'llama',
  revision: 'r',
  digest: 'd'.repeat(64),
  layers: 4,
  heads: 4,
  width,
  vocabulary: 1000,
  context: 1024,
  parameters: 4 * 12 * width ** 2 + 1000 * width,
  hooks: [],
  storage: null,
});
const estimate = (one: Pick<Case, 'type' | 'params' | 'saes' | 'rows'>, width = 256) => {
  const contract = JOB_CONTRACTS[one.type]!;
  const activations = one.rows ? { activations: [{ artefact: `rep_${'a'.repeat(52)}` }] } : {};
  return contract.estimate(
    contract.params.parse({ ...withIds(one, standInIds(one)), ...activations }),
    model(width),
    [],
  );
};

describe('the estimate of a job', () => {
  test.each(Object.values(JOB_CONTRACTS).filter(({ work }) => work))('of $type has measured sizes', ({ type }) => {
    expect(CASES.some((one) => one.type === type)).toBe(true);
  });

  test.each(CASES.map((one, i) => [i, one.type, one] as const))('case %i of %s has a price', (_, _type, one) => {
    const { device_seconds, memory_bytes } = estimate(one);
    expect(device_seconds).toBeGreaterThan(0);
    expect(memory_bytes).toBeGreaterThan(5e7);
    expect(memory_bytes).toBeLessThan(1e10);
  });

  test.each(Object.entries(UNIT_COSTS))(
    'of %s pays for every multiply-add and every byte held by weights',
    (_, costs) => {
      const paid = Object.entries(costs.seconds).filter(([name]) => name.endsWith('multiply_adds'));
      for (const [name, seconds] of paid) {
        expect([name, seconds > 0]).toEqual([name, true]);
      }
      expect(costs.memory.process).toBeGreaterThan(5e7);
    },
  );

  test('lies within 0.7 to 1.5 of the peak of memory at every size that was measured', () => {
    const file = join(import.meta.dirname, '../../bench/results/costs.json');
    const { lines } = JSON.parse(readFileSync(file, 'utf8')) as { lines: { peak_mb: number; estimated_mb: number }[] };
    const off = lines.filter(
      ({ peak_mb, estimated_mb }) => estimated_mb < 0.7 * peak_mb || estimated_mb > 1.5 * peak_mb,
    );
    expect(off).toEqual([]);
  });

  test('grows with the width of the model', () => {
    const one = CASES.find(({ type }) => type === 'sae.train')!;
    const [narrow, wide] = [estimate(one, 128), estimate(one, 1024)];
    expect(wide.device_seconds).toBeGreaterThan(narrow.device_seconds);
    expect(wide.memory_bytes).toBeGreaterThan(narrow.memory_bytes);
  });

  test('is the sum of quantities times their unit costs', () => {
    const work = { seconds: { start: 1, rows: 10 }, memory: { process: 1, held: 200 }, artefact_bytes: 7 };
    const costs = { seconds: { start: 2, rows: 0.5 }, memory: { process: 1000, held: 3 } };
    expect(priceOf('x', work, costs)).toEqual({ device_seconds: 7, memory_bytes: 1600, artefact_bytes: 7 });
    expect(() => priceOf('x', work, { ...costs, memory: { process: 1 } })).toThrow(/memory of 'held'/);
  });

  test('counts layers up to the hook point, and autoencoders among the inputs', () => {
    const m = model(64);
    expect(tokenWork(m, 8, 'resid_post.1')).toBeCloseTo(tokenWork(m, 8) / 2);
    expect(saeWeights([{ kind: 'sae', body: { width: 10, inputs: 4 } } as never])).toBe(80);
  });
});
