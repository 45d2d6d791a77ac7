/** What the project's own tokenizers have in common as a `tokenizer.json` in the publishers' format. */

const BEGIN = '<s>';

type TokenizerParts = {
  /** Special tokens; their ids are their places. `<s>` is one of them and begins every text. */
  special: readonly string[];
  pre_tokenizer: object;
  decoder: object | null;
  model: object;
};

export function tokenizerDocument({ special, pre_tokenizer, decoder, model }: TokenizerParts): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: BEGIN, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { [BEGIN]: { id: BEGIN, ids: [special.indexOf(BEGIN)], tokens: [BEGIN] } },
    },
    decoder,
    model,
  };
}
