/** How a model's publisher generates with it: `generation_config.json`, beside the weights. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readJson } from './stored-tensors.ts';

export type PublishedSettings = {
  /** Tokens that end a text; null where the file does not say. */
  endTokens: readonly number[] | null;
  /** What else in the file changes what is generated, or may, and is not applied: a request says so itself. */
  notApplied: Readonly<Record<string, unknown>>;
};

/** Settings with the values at which they change nothing; of those that are not listed nobody knows such a value. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  do_sample: [false],
  temperature: [1],
  top_p: [1],
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  repetition_penalty: [1],
  encoder_repetition_penalty: [1],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  length_penalty: [1],
  diversity_penalty: [0],
  num_beams: [1],
  num_beam_groups: [1],
  num_return_sequences: [1],
  min_length: [0],
  min_new_tokens: [0],
  early_stopping: [false],
  remove_invalid_values: [false],
  renormalize_logits: [false],
  token_healing: [false],
  guidance_scale: [1],
};

/** Settings of which text it is, what is shown of it, or how fast it comes: the same tokens whatever they are. */
const HARMLESS: ReadonlySet<string> = new Set(
  `_from_model_config transformers_version eos_token_id bos_token_id pad_token_id decoder_start_token_id use_cache
  cache_implementation cache_config return_legacy_cache return_dict_in_generate output_attentions output_hidden_states
  output_scores output_logits low_memory max_time prefill_chunk_size disable_compile compile_config use_mps
  trust_remote_code max_matching_ngram_size prompt_lookup_num_tokens num_assistant_tokens
  num_assistant_tokens_schedule assistant_confidence_threshold assistant_early_exit assistant_lookbehind
  target_lookbehind is_assistant continuous_batching_config`.split(/\s+/),
);

const empty = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

const NONE: PublishedSettings = { endTokens: null, notApplied: {} };

/** @throws SextantError `weights_invalid` where the file is not an object, or its end tokens are not token ids */
export function readPublishedSettings(folder: string): PublishedSettings {
  const file = join(folder, 'generation_config.json');
  if (!existsSync(file)) {
    return NONE;
  }
  const written = readJson(file);
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    throw new SextantError('weights_invalid', 'generation_config.json must be an object');
  }
  const fields = written as Record<string, unknown>;
  const notApplied = Object.entries(fields).filter(
    ([name, value]) => !HARMLESS.has(name) && !empty(value) && !NEUTRAL[name]?.includes(value),
  );
  return {
    endTokens: endTokensIn(fields.eos_token_id),
    notApplied: Object.fromEntries(notApplied),
  };
}

function endTokensIn(written: unknown): number[] | null {
  if (written === undefined || written === null) {
    return null;
  }
  const listed: unknown[] = Array.isArray(written) ? written : [written];
  const ids = listed.filter((id): id is number => Number.isInteger(id));
  if (ids.length !== listed.length) {
    throw new SextantError(
      'weights_invalid',
      "generation_config.json: 'eos_token_id' must be a token id or a list of them",
    );
  }
  // Some publishers write -1 for none: no token has such an id.
  return ids.filter((id) => id >= 0);
}
