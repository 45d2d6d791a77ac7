import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';

const graphFolder = join(import.meta.dirname, '../../../gpu-worker/graph');
afterEach(() => vi.restoreAllMocks());

it('the perceptron of the README learns, in fewer than 25 lines', async () => {
  const readme = readFileSync(join(graphFolder, 'README.md'), 'utf8');
  const code = /```ts run\n([\s\S]*?)```/.exec(readme)![1]!;
  expect(code.split('\n').filter((line) => line.trim() !== '').length).toBeLessThan(25);
  const folder = mkdtempSync(join(import.meta.dirname, 'readme-'));
  try {
    const file = join(folder, 'example.ts');
    writeFileSync(
      file,
      code.replaceAll(/from '(\.\.\/[^']+)'/g, (_, path) => `from '${join(graphFolder, path)}'`),
    );
    const printed: unknown[][] = [];
    vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values));
    await import(file);
    expect(printed).toHaveLength(6);
    expect(printed.at(-1)![2]).toBeGreaterThan(0.9);
    expect(printed.at(-1)![1]).toBeLessThan(printed[0]![1] as number);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
