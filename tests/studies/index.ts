/** `npm run study -- <name> [options]`: runs one study of this folder; its results are committed under `results/`. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';

const [name, ...options] = process.argv.slice(2);
const file = join(import.meta.dirname, `${name}.ts`);
if (!name || !/^[a-z-]+$/.test(name) || name === 'index' || !existsSync(file)) {
  const names = readdirSync(import.meta.dirname).filter((f) => f.endsWith('.ts') && f !== 'index.ts');
  console.error(`usage: study -- NAME [options]; names: ${names.map((f) => f.slice(0, -3)).join(', ')}`);
  process.exit(2);
}
const study = (await import(file)) as { run(options: string[]): Promise<void> };
try {
  await study.run(options);
} catch (error) {
  if (!(error instanceof SextantError)) {
    throw error;
  }
  console.error(`${error.code}: ${error.message}`);
  process.exit(1);
}
