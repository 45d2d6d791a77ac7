/** How strong a penalty has to be: the unit in which lambda is given, and what a schedule does to an idle tile. */

type ShrinkageSchedule = {
  /** Learning rate of each step. */
  rates: readonly number[];
  momentum: number;
};

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
export const rateSum = ({ rates }: ShrinkageSchedule): number => sumOf(rates);

/**
 * (10): the penalty at which a tile without a gradient, starting at `start`, dies with the last step. Below it almost no
 * tile dies; above it the share of zero tiles jumps.
 */
export const criticalLambda = (schedule: ShrinkageSchedule, start = 1): number =>
  (start * (1 - schedule.momentum)) / rateSum(schedule);

/** What (9) leaves of a tile without a gradient after the whole schedule. */
export const idleTile = ({ rates, momentum }: ShrinkageSchedule, lambda: number, start = 1): number =>
  rates.reduce((value, rate) => Math.max(0, value - (rate * lambda) / (1 - momentum)), start);
