/** Drift of the base line lies below this frequency, Hz. */
export const DRIFT_EDGE = 0.67;
