/** Learning-rate schedules: functions of the step (from 1), evaluated on the host and fed to the program. */

export type Schedule = (step: number) => number;

const progress = (step: number, from: number, to: number): number =>
  Math.min(Math.max((step - from) / Math.max(to - from, 1), 0), 1);

/** Half a cosine from `rate` to `final` over steps 1 .. steps (Loshchilov & Hutter 2017). */
export const cosineRate =
  (rate: number, steps: number, final = 0): Schedule =>
  (step) =>
    final + (rate - final) * 0.5 * (1 + Math.cos(Math.PI * progress(step, 1, steps)));

/** `schedule`, scaled from 1 / warm to 1 over the first `warm` steps. */
export const warmUp =
  (warm: number, schedule: Schedule): Schedule =>
  (step) =>
    schedule(step) * Math.min(step / Math.max(warm, 1), 1);

/** `rate` until the last `share` of the steps, over which it falls to 0 in a line. */
export const steadyRate =
  (rate: number, steps: number, share = 0.3): Schedule =>
  (step) =>
    rate * (1 - progress(step, (1 - share) * steps, steps));
