/** Preloaded into a worker: its clock is wrong by `CLOCK_ERROR_MS`. */
const error_ms = Number(process.env.CLOCK_ERROR_MS ?? 0);
const { now } = Date;
Date.now = () => now() + error_ms;
