/** The table and the figures of `tests/golden/fairness.py`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type Numbers = Record<string, number>;
type Frames = {
  groups: Record<string, Numbers>;
  gaps: Numbers;
  ratios: Numbers;
  demographic_parity_difference: number;
  demographic_parity_ratio: number;
  equalized_odds_difference: number;
  equalized_odds_ratio: number;
};
export type FairnessReference = {
  columns: {
    group: string[];
    control: string[];
    label: number[];
    score: number[];
    weight: number[];
    f1: number[];
    f2: number[];
    f3: number[];
  };
  plain: Frames;
  weighted: Frames;
  conditional: { gaps: Record<string, Numbers>; ratios: Record<string, Numbers> };
  reference: Record<string, Numbers>;
  individual: {
    generalized_entropy: Numbers;
    between_groups: number;
    consistency: number;
    consistency_of_scores: number;
  };
  calibration: Record<string, { observed: number[]; mean_score: number[]; counts: number[]; error: number }>;
  thresholds: {
    constraint: 'demographic_parity' | 'true_positive_rate_parity' | 'false_positive_rate_parity' | 'equalized_odds';
    objective: 'accuracy' | 'balanced_accuracy';
    rate: number;
    probabilities: number[];
  }[];
};

export const fairnessReference = (): FairnessReference =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../golden/fairness.json'), 'utf8'));
