/** Chat templates: a conversation as the text that a model was tuned on. */
import { Template } from '@huggingface/jinja';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Tokenizer } from './tokenizer.ts';

type ChatMessage = { role: string; content: string };

/**
 * The prompt of a conversation by the tokenizer's own template. The template writes its special tokens itself: encode
 * the text with `special: false`.
 * @throws SextantError `tokenizer_mismatch` where there is no template or it rejects the conversation
 */
export function renderChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  {
    addGenerationPrompt = true,
    template = tokenizer.chatTemplate,
  }: { addGenerationPrompt?: boolean; template?: string | null } = {},
): string {
  if (template === null) {
    throw new SextantError('tokenizer_mismatch', 'the tokenizer has no chat template');
  }
  try {
    return new Template(template).render({
      messages,
      add_generation_prompt: addGenerationPrompt,
      ...tokenizer.names,
    });
  } catch (error) {
    throw new SextantError('tokenizer_mismatch', `the chat template failed: ${(error as Error).message}`);
  }
}
