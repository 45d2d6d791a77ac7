/** Files beside the weights that a model made from another keeps as they are. */
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

export const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
];
export const KEPT_FILES = [...TOKENIZER_FILES, 'generation_config.json'];

/** Copies those of the files that are there. */
export function copyFiles(from: string, to: string, names: readonly string[]): void {
  for (const name of names) {
    if (existsSync(join(from, name))) {
      copyFileSync(join(from, name), join(to, name));
    }
  }
}
