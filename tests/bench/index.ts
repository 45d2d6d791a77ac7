/** `npm run bench -- <name> [options]`: runs one benchmark file of this folder, which prints its own table. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [name, ...options] = process.argv.slice(2);
const file = join(import.meta.dirname, `${name}.ts`);
if (!name || !/^[a-z-]+$/.test(name) || name === 'index' || !existsSync(file)) {
  const names = readdirSync(import.meta.dirname).filter((f) => f.endsWith('.ts') && f !== 'index.ts');
  console.error(`usage: bench -- NAME [options]; names: ${names.map((f) => f.slice(0, -3)).join(', ')}`);
  process.exit(2);
}
const benchmark = (await import(file)) as { run(options: string[]): Promise<void> };
await benchmark.run(options);
