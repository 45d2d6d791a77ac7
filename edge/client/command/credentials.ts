/** The key: from the environment, or from a file that only its owner may read. Never from an argument, which others see. */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from './exit-status.ts';

const DEFAULT_URL = 'http://127.0.0.1:8787';

type Environment = Readonly<Record<string, string | undefined>>;

export const addressOf = (named: string | undefined, env: Environment): string =>
  named ?? env.SEXTANT_URL ?? DEFAULT_URL;

/** @throws CommandError `key` where there is none, or its file is not its owner's alone */
export function keyOf(env: Environment): string {
  if (env.SEXTANT_KEY) {
    return env.SEXTANT_KEY;
  }
  const file = env.SEXTANT_KEY_FILE ?? join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'sextant', 'key');
  let text: string;
  try {
    const { mode, uid } = statSync(file);
    // Windows has no such bits: its folders of a user are that user's
    if (process.platform !== 'win32' && ((mode & 0o077) !== 0 || uid !== process.getuid?.())) {
      throw new CommandError(
        'key',
        `${file}: others may read or own this key (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${file}`,
      );
    }
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (error instanceof CommandError) {
      throw error;
    }
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(
      'key',
      code === 'ENOENT'
        ? `no API key: set SEXTANT_KEY, or write the key into ${file} (mode 600)`
        : `${file}: the key cannot be read (${code}); make it a file that you own, of mode 600`,
    );
  }
  if (text === '' || /\s/.test(text)) {
    throw new CommandError('key', `${file}: one line with one key is expected`);
  }
  return text;
}
