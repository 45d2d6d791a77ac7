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
