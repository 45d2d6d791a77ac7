/** What a generation has come to while it goes on: tokens and the text that became certain with them. */
import { z } from 'zod';

const tokenId = z.number().int().nonnegative();
export const alternativeSchema = z.object({
  token: tokenId,
  text: z.string().describe('of the token by itself; a character may be spread over several tokens'),
  log_probability: z.number().describe('natural logarithm, under the model at temperature 1'),
});
export type Alternative = z.infer<typeof alternativeSchema>;

export const FINISHES = ['length', 'stop_token', 'stop_string'] as const;
export const tokenPieceSchema = z.strictObject({
  run: z.number().int().nonnegative().describe('place among the runs of the params'),
  prompt: z.number().int().nonnegative().describe('place among the prompts of the params'),
  from: z.number().int().nonnegative().describe('tokens of this text before these'),
  tokens: z.array(tokenId).max(4096),
  log_probabilities: z.array(z.number()).max(4096).describe('one of each token'),
  token_texts: z.array(z.string().max(1000)).max(4096).nullable().describe('null unless alternatives were asked for'),
  alternatives: z.array(z.array(alternativeSchema).max(20)).max(4096).nullable(),
  text_from: z.number().int().nonnegative().describe('length of the text before this, in UTF-16 units'),
  text: z
    .string()
    .max(1_000_000)
    .describe('what became certain: parts of characters and beginnings of stop strings are held back'),
  finish: z.enum(FINISHES).nullable().describe('why the text ended; null before its end'),
});
export type TokenPiece = z.infer<typeof tokenPieceSchema>;

/** `POST /internal/jobs/{id}/tokens`: what was generated since the last call. */
export const tokensRequestSchema = z.strictObject({ pieces: z.array(tokenPieceSchema).min(1).max(1024) });

/** Two pieces of one text that follow each other, as one. */
export const joined = (first: TokenPiece, next: TokenPiece): TokenPiece => ({
  ...first,
  tokens: [...first.tokens, ...next.tokens],
  log_probabilities: [...first.log_probabilities, ...next.log_probabilities],
  token_texts: first.token_texts && [...first.token_texts, ...(next.token_texts ?? [])],
  alternatives: first.alternatives && [...first.alternatives, ...(next.alternatives ?? [])],
  text: first.text + next.text,
  finish: next.finish,
});
