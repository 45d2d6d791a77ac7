/** What a gated predictor is compared with on test rows, and what each method's demographic groups get. */
import { type GatedPredictor, predictGated } from '../../../shared/fairness/gated/predictor.ts';
import type { Rows } from '../rows.ts';
import { accuracy, areaUnderCurve, demographicSummary } from './classification-metrics.ts';
import { trainGated } from './gated-training.ts';
import * as baselines from './linear-baselines.ts';

/** Demographic group ids of rows, out of `count` groups. */
export type Demographics = { count: number; train: Int32Array; test: Int32Array };
type MethodScores = {
  method: string;
  /** Whether it reads the demographic of the rows it scores. */
  needsDemographics: boolean;
  scores: Float64Array;
};
export type ComparedMethod = Omit<MethodScores, 'scores'> & {
  accuracy: number;
  areaUnderCurve: number;
  demographics: ReturnType<typeof demographicSummary>;
};

/** What the predictor answers for these rows. */
export function gatedScores(predictor: GatedPredictor, { x, y }: Rows): Float64Array {
  const scores = new Float64Array(y.length);
  predictGated(predictor, x, scores, new Uint8Array(y.length));
  return scores;
}

/** Scores of the baselines, trained on the same rows. */
export function baselineScores(
  train: Rows,
  validation: Rows,
  test: Rows,
  demographics: Demographics | null,
  { groups, ...options }: { groups: number; l2: number; seed: number; restarts: number; steps: number; batch: number },
): MethodScores[] {
  const { l2, seed } = options;
  const blind = (method: string, scores: Float64Array): MethodScores => ({ method, needsDemographics: false, scores });
  const decoupled = demographics && baselines.decoupled(train, demographics.train, demographics.count, l2);
  const experts = trainGated(train, validation, { ...options, groups: Math.max(2, groups), objective: 'mixture' });
  return [
    ...(decoupled && demographics
      ? [
          {
            method: 'decoupled',
            needsDemographics: true,
            scores: baselines.decoupledScores(decoupled, test, demographics.test),
          },
        ]
      : []),
    blind('mixture_of_experts', gatedScores(experts.predictor, test)),
    blind('adversarially_reweighted', baselines.linearScores(baselines.adversariallyReweighted(train, { seed }), test)),
    blind(
      'distributionally_robust',
      baselines.linearScores(baselines.distributionallyRobust(train, 0.5, { seed }), test),
    ),
  ];
}

/** Accuracy, AUC and what demographic groups of at least `minimum` rows get beside the pooled scores. */
export const compareMethods = (
  methods: readonly MethodScores[],
  pooled: Float64Array,
  test: Rows,
  demographics: Demographics | null,
  minimum: number,
): ComparedMethod[] =>
  methods.map(({ scores, ...method }) => ({
    ...method,
    accuracy: accuracy(scores, test.y),
    areaUnderCurve: areaUnderCurve(scores, test.y),
    demographics:
      demographics && demographicSummary(scores, pooled, test.y, demographics.test, demographics.count, minimum),
  }));
