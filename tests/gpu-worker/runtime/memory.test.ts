import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('gives memory back over 50 rounds of create, run and release', () => {
  const script = join(import.meta.dirname, 'rounds.ts');
  const printed = execFileSync(process.execPath, ['--expose-gc', script], { encoding: 'utf8' });
  const { before, loaded, early, late } = JSON.parse(printed.trim().split('\n').at(-1)!);
  // The weights are 4 MiB, and as much again once packed for the product.
  expect(loaded - before, printed).toBeGreaterThan(4);
  expect(late, printed).toBeLessThan(loaded - 2);
  expect(late - early, printed).toBeLessThan(12);
});
