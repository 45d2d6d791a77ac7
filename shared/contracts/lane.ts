/** The two lanes of a pool: a job that somebody waits for never stands behind a training. */
import { z } from 'zod';

export const LANES = ['interactive', 'batch'] as const;
export const laneSchema = z.enum(LANES);
export type Lane = z.infer<typeof laneSchema>;
