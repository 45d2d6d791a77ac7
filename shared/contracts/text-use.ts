/** What a job makes of the text that it is sent: the part it reads, how it lays it out, and the account of it in results. */
import { z } from 'zod';

export const textSplitSchema = z
  .enum(['all', 'train', 'held_out'])
  .describe(
    'the documents that are read: all of them, or one side of the split by which training keeps every tenth for evaluation; of text without end, all is the side that nothing is trained on',
  );
export type TextSplit = z.infer<typeof textSplitSchema>;

export const packingSchema = z
  .enum(['documents', 'packed'])
  .describe(
    'documents: each begins anew, and a long one goes on in further windows that begin anew; packed: laid end to end',
  );
export type Packing = z.infer<typeof packingSchema>;

/** The window of a job, of at least `least` tokens. */
export const windowSchema = (least: number) =>
  z
    .number()
    .int()
    .min(least)
    .max(8192)
    .default(512)
    .describe("tokens of a window, or the model's context where that is shorter");

/**
 * Why text is not used: it is on the other side of the split, has no tokens, is a special token (or nothing but such), is the first of a
 * window, which nothing predicts, comes after the number of tokens that was asked
 * for, is read by another part of the work, is too short at the end for a sequence
 * to train on, or is of a prompt, whose completion alone is learnt.
 */
export const leftOutSchema = z.enum(['split', 'empty', 'special', 'first', 'limit', 'part', 'tail', 'prompt']);
export type LeftOut = z.infer<typeof leftOutSchema>;

const leftOutCounts = z
  .partialRecord(leftOutSchema, z.number())
  .describe(
    'by reason: split (the other side), empty (no tokens), special (special tokens), first (nothing predicts the first of a window), limit (after the tokens asked for), part (read by another part), tail (too little for a last sequence to train on), prompt (of which the completion alone is learnt)',
  );

export const textAccountSchema = z.object({
  split: textSplitSchema,
  packing: packingSchema,
  window: z.number().describe('most tokens that the model reads in one go'),
  windows: z.number().describe('how often it began to read'),
  documents: z.object({ sent: z.number(), used: z.number(), left_out: leftOutCounts }),
  tokens: z.object({
    sent: z
      .number()
      .nullable()
      .describe('null where the text is too large to count tokens that are not read; without end: as far as read'),
    used: z.number(),
    left_out: leftOutCounts,
  }),
});
export type TextAccount = z.infer<typeof textAccountSchema>;
