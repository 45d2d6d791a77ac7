/** How a model's publisher generates with it: `generation_config.json`, beside the weights. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readJson } from './stored-tensors.ts';

export type PublishedSettings = {
  /** Tokens that end a text; null where the file does not say. */
  endTokens: readonly number[] | null;
  /** What else in the file changes what is generated and is not applied: a request says so itself. */
  notApplied: Readonly<Record<string, unknown>>;
};

/** Settings by which the publishers' library generates otherwise, with the values at which they change nothing. */
const CHANGING: Readonly<Record<string, unknown>> = {
  do_sample: false,
  temperature: 1,
  top_k: null,
  top_p: 1,
  min_p: null,
  typical_p: 1,
  top_h: null,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
  repetition_penalty: 1,
  encoder_repetition_penalty: 1,
  no_repeat_ngram_size: 0,
  length_penalty: 1,
  num_beams: 1,
  num_beam_groups: 1,
  penalty_alpha: null,
  bad_words_ids: null,
  forced_bos_token_id: null,
  forced_eos_token_id: null,
  suppress_tokens: null,
  begin_suppress_tokens: null,
  sequence_bias: null,
  exponential_decay_length_penalty: null,
  guidance_scale: null,
  min_length: 0,
  min_new_tokens: null,
  stop_strings: null,
};

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
  const notApplied = Object.entries(CHANGING).filter(
    ([name, neutral]) => (fields[name] ?? null) !== null && fields[name] !== neutral,
  );
  return {
    endTokens: endTokensIn(fields.eos_token_id),
    notApplied: Object.fromEntries(notApplied.map(([name]) => [name, fields[name]])),
  };
}

function endTokensIn(written: unknown): number[] | null {
  if (written === undefined || written === null) {
    return null;
  }
  const listed: unknown[] = Array.isArray(written) ? written : [written];
  const ids = listed.filter((id): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0);
  if (ids.length !== listed.length) {
    throw new SextantError(
      'weights_invalid',
      "generation_config.json: 'eos_token_id' must be a token id or a list of them",
    );
  }
  return ids;
}
