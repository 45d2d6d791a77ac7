/** Learning-rate schedules: functions of the step (from 1), evaluated on the host and fed to the program. */

export type Schedule = (step: number) => number;

export const constantRate =
  (rate: number): Schedule =>
  () =>
    rate;

const progress = (step: number, from: number, to: number): number =>
  Math.min(Math.max((step - from) / Math.max(to - from, 1), 0), 1);

/** From `rate` to `final` in a straight line over steps 1 .. steps, constant afterwards. */
export const linearRate =
  (rate: number, steps: number, final = 0): Schedule =>
  (step) =>
    rate + (final - rate) * progress(step, 1, steps);

/** Half a cosine from `rate` to `final` over steps 1 .. steps (Loshchilov & Hutter 2017). */
export const cosineRate =
  (rate: number, steps: number, final = 0): Schedule =>
  (step) =>
    final + (rate - final) * 0.5 * (1 + Math.cos(Math.PI * progress(step, 1, steps)));

/** Multiplied by `factor` after every `every` steps. */
export const stepRate =
  (rate: number, every: number, factor = 0.1): Schedule =>
  (step) =>
    rate * factor ** Math.floor((step - 1) / every);

/** `schedule`, scaled from 1 / warm to 1 over the first `warm` steps. */
export const warmUp =
  (warm: number, schedule: Schedule): Schedule =>
  (step) =>
    schedule(step) * Math.min(step / Math.max(warm, 1), 1);
