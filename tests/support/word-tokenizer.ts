/** A whole-word tokenizer over w0 .. w59 with a BOS token, in the publishers' format. */

import { tokenizerDocument } from '../../gpu-worker/lm/tokenizer/tokenizer-document.ts';
import type { SavedTokenizer } from '../../gpu-worker/lm/weights/save.ts';

export function wordTokenizer(words = 59): SavedTokenizer {
  const vocab: Record<string, number> = { '<unk>': 0, '<s>': 1 };
  for (let i = 2; i <= words + 1; i++) {
    vocab[`w${i}`] = i;
  }
  return {
    json: tokenizerDocument({
      special: ['<unk>', '<s>'],
      pre_tokenizer: { type: 'WhitespaceSplit' },
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
    }),
    config: {
      bos_token: '<s>',
      unk_token: '<unk>',
      chat_template:
        "{{ bos_token }}{% for m in messages %} {{ m['role'] }} {{ m['content'] }}{% endfor %}{% if add_generation_prompt %} assistant{% endif %}",
    },
  };
}
