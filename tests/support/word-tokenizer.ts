/** A whole-word tokenizer over w0 .. w59 with a BOS token, in the publishers' format. */
import type { SavedTokenizer } from '../../gpu-worker/lm/save.ts';

export function wordTokenizer(words = 59): SavedTokenizer {
  const vocab: Record<string, number> = { '<unk>': 0, '<s>': 1 };
  for (let i = 2; i <= words + 1; i++) vocab[`w${i}`] = i;
  const added = (id: number, content: string) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    json: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [added(0, '<unk>'), added(1, '<s>')],
      normalizer: null,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
      },
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
    },
    config: {
      bos_token: '<s>',
      unk_token: '<unk>',
      chat_template:
        "{{ bos_token }}{% for m in messages %} {{ m['role'] }} {{ m['content'] }}{% endfor %}{% if add_generation_prompt %} assistant{% endif %}",
    },
  };
}
