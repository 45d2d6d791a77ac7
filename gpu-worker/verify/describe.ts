/** `verify -- describe DIR`: sizes and hook points of the model in DIR, as one JSON object. */
import { join } from 'node:path';
import { describe } from '../../shared/models/describe.ts';
import { readJson } from '../lm/index.ts';

export function describeFolder(argv: string[]): void {
  const [folder] = argv;
  if (!folder) {
    console.error('usage: verify -- describe DIR');
    process.exit(2);
  }
  console.log(JSON.stringify(describe(readJson(join(folder, 'config.json')))));
}
