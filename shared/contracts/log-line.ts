/** The one shape of every log line, the edge's and the workers': JSON, so that lines of many places can be read together. */
import { z } from 'zod';

export const logLineSchema = z.looseObject({
  /** When it happened, RFC 3339 with milliseconds. */
  at: z.string(),
  level: z.enum(['info', 'warn', 'error']),
  /** `edge`, or a worker's id. */
  service: z.string(),
  /** What happened, in a few fixed words; particulars stand in the fields beside. */
  event: z.string(),
  /** The trace that it belongs to. */
  trace_id: z.string().nullable(),
});
type LogLine = z.infer<typeof logLineSchema>;

export const logLine = (line: LogLine): string => JSON.stringify(line);
