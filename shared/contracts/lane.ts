/** The two lanes of a pool: a job that somebody waits for never stands behind a training. */
import { z } from 'zod';

export const laneSchema = z.enum(['interactive', 'batch']);
export type Lane = z.infer<typeof laneSchema>;
