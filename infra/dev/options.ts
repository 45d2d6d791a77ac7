/** Options of `npm start`. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export type StartOptions = {
  port: number;
  /** Stop everything after the main job. */
  exit: boolean;
  demo: boolean;
  workers: number;
  /** Where keys, state and caches lie. */
  data: string;
  /** A model folder in Hugging Face layout or a GGUF file, registered with the workers under `alias`. */
  model: { alias: string; folder: string } | null;
};

export const USAGE = `usage: npm start -- [options]
  --port P       port of the service on 127.0.0.1 (default 8787)
  --exit         stop after the main job; exit status 0 only if it succeeded
  --no-demo      serve only, without the main job
  --workers N    GPU workers to start (default 1)
  --data DIR     where keys and state live (default .sextant)
  --model PATH   run the main job on the model in this folder (Hugging Face layout) or GGUF file
  --help         say this`;

/** Null where help is asked for. Raises an Error that says what is wrong with an option. */
export function parseOptions(args: string[], root: string): StartOptions | null {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', default: '8787' },
      exit: { type: 'boolean', default: false },
      'no-demo': { type: 'boolean', default: false },
      workers: { type: 'string', default: '1' },
      data: { type: 'string', default: join(root, '.sextant') },
      model: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    return null;
  }
  const integer = (name: string, text: string, low: number, high: number): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new Error(`--${name} is a whole number from ${low} to ${high}, not '${text}'`);
    }
    return value;
  };
  if (values.exit && values['no-demo']) {
    throw new Error('--exit stops after the main job, which --no-demo leaves out');
  }
  const workers = integer('workers', values.workers, 0, 64);
  if (workers === 0 && !values['no-demo']) {
    throw new Error('--workers 0 leaves nobody to do the main job; add --no-demo, or start one');
  }
  return {
    port: integer('port', values.port, 1, 65_535),
    exit: values.exit,
    demo: !values['no-demo'],
    workers,
    data: resolve(values.data),
    model: values.model === undefined ? null : modelOption(resolve(values.model)),
  };
}

/** A folder with a config, or a GGUF file, which may lie in a folder alone. */
function isModel(path: string): boolean {
  if (!existsSync(path)) {
    return false;
  }
  if (statSync(path).isFile()) {
    return path.endsWith('.gguf');
  }
  return readdirSync(path).some((name) => name === 'config.json' || name.endsWith('.gguf'));
}

function modelOption(folder: string): { alias: string; folder: string } {
  if (!isModel(folder)) {
    throw new Error(`--model names a folder in Hugging Face layout or a GGUF file; ${folder} is neither`);
  }
  const alias = basename(folder)
    .replace(/\.gguf$/, '')
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  return { alias: alias || 'model', folder };
}
