import { expect, it } from 'vitest';
import { methodReport } from '../../../../gpu-worker/fairness/gated/report.ts';

it('says why a method has no demographic figures, and nothing where it has', () => {
  const method = { method: 'pooled', needsDemographics: false, accuracy: 0.8, areaUnderCurve: Number.NaN };
  expect(methodReport({ ...method, demographics: null }, 'no demographics were named')).toEqual({
    method: 'pooled',
    needs_demographics: false,
    accuracy: 0.8,
    auc: null,
    worst_demographic_gap: null,
    worst_group_accuracy: null,
    disparity: null,
    reason: 'no demographics were named',
  });
  const demographics = { worstGap: -0.01, worstAccuracy: 0.7, disparity: 0.1 };
  expect(methodReport({ ...method, demographics }, 'unused')).toMatchObject({ disparity: 0.1, reason: null });
});
