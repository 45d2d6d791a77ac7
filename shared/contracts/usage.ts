/** Device seconds: what was used, and what caps them. */
import { z } from 'zod';

export const spendingCapSchema = z.strictObject({
  device_seconds_per_day: z.number().min(0).nullable().describe('over all keys, by days of UTC; null lifts the cap'),
});

export const dayText = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'YYYY-MM-DD');

const usageLine = z.object({
  charged: z.number().describe('device seconds taken'),
  reserved: z.number().describe('device seconds put aside for jobs that go on'),
  cap: z.number().nullable().describe('device seconds a day; null without a cap'),
});

export const usageSchema = z.object({
  data: z.array(
    z.object({
      day: dayText,
      key: z.string().describe('empty for jobs from before keys were noted'),
      jobs: z.number().int(),
      device_seconds: z.number(),
    }),
  ),
  today: usageLine
    .extend({ day: dayText, keys: z.array(usageLine.extend({ key: z.string() })) })
    .describe('the day as it stands, jobs that still run included'),
});
