/** Problem documents (RFC 9457) as they go over the wire. Apart from the errors themselves, which need no schemas. */
import { z } from 'zod';

export const fieldErrorSchema = z.strictObject({
  pointer: z.string().describe('JSON pointer (RFC 6901) to the offending value'),
  code: z.string(),
  detail: z.string(),
});
export type FieldError = z.infer<typeof fieldErrorSchema>;

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  instance: z.string(),
  code: z.string(),
  request_id: z.string(),
  errors: z.array(fieldErrorSchema).optional(),
});
export type Problem = z.infer<typeof problemSchema>;
