/** The coefficient of a sparsity penalty at which a retrained autoencoder keeps as many latents a token as it did before. */

/** Of the L0 aimed at: nearer need not be looked for. */
const CLOSE = 0.05;
const MOST_TRAININGS = 6;
/** A coefficient changes by at most this factor from one training to the next. */
const FURTHEST = 8;
/** Stands for an L0 of 0, of which there is no logarithm. */
const LEAST = 1e-3;

type Trained<T> = { found: T; l0: number };
type Matched<T> = Trained<T> & { coefficient: number; trainings: number };

/**
 * Trains again and again, with a coefficient read off a straight line through the last two trainings' logarithms, within
 * the bracket once there is one; gives the training whose L0 is nearest.
 * @param train with this coefficient; its L0 falls as that grows
 */
export async function matchL0<T>(
  train: (coefficient: number, training: number) => Promise<Trained<T>>,
  start: number,
  target: number,
): Promise<Matched<T>> {
  const goal = Math.log(Math.max(target, LEAST));
  let best: Matched<T> | null = null;
  let [coefficient, slope] = [start, -1];
  let last: { x: number; y: number } | null = null;
  let [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let training = 0; training < MOST_TRAININGS; training++) {
    const { found, l0 } = await train(coefficient, training);
    const x = Math.log(coefficient);
    const y = Math.log(Math.max(l0, LEAST));
    if (!best || Math.abs(l0 - target) < Math.abs(best.l0 - target)) {
      best = { found, l0, coefficient, trainings: 0 };
    }
    best.trainings = training + 1;
    if (Math.abs(l0 - target) <= CLOSE * target) {
      break;
    }
    [low, high] = y > goal ? [Math.max(low, x), high] : [low, Math.min(high, x)];
    const measured = last && last.x !== x ? (y - last.y) / (x - last.x) : slope;
    slope = measured < -0.05 ? measured : -1;
    last = { x, y };
    const reach = Math.log(FURTHEST);
    const next = x + Math.max(-reach, Math.min(reach, (goal - y) / slope));
    const bracketed = Number.isFinite(low) && Number.isFinite(high);
    coefficient = Math.exp(bracketed && (next <= low || next >= high) ? (low + high) / 2 : next);
  }
  return best!;
}
