/** The decision that a score stands for where none is given: positive from 1/2 on, the same in every metric and guard. */

/** Whether a score between 0 and 1 says yes. */
const decides = (score: number): boolean => score >= 0.5;

/** 1 where the decision is not the label (0 or 1), else 0. */
export const decisionError = (score: number, label: number): number => Number(decides(score) !== (label === 1));
