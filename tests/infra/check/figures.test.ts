/** The page of figures shows every committed result. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { figuresPage } from '../../../infra/check/figures.ts';

const folder = join(import.meta.dirname, '../../bench/results');
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const files = readdirSync(folder);
const none = { names: [], files: [], titles: {} };

test('has a section for results that nobody wrote one for', () => {
  const result = {
    host: { cpu: 'c', node: 'v1.2.3' },
    pairs: 7,
    memory: { dense: { mib: 3.5 } },
    lines: [{ what: 'a|b', ms: 1.23456, left: [1, 2] }],
  };
  const own = (name: string) => (name === 'fresh.json' ? JSON.stringify(result) : read(name));
  const page = figuresPage(own, [...files, 'fresh.json'], none);
  const section = page.slice(page.indexOf('## fresh'), page.indexOf('## Studies'));
  expect(section).toContain('`npm run bench -- fresh` (c, Node 1.2.3)');
  expect(section).toContain('| pairs | 7 |');
  expect(section).toContain('| memory.dense.mib | 3.5 |');
  expect(section).toContain('| what | ms | left |');
  expect(section).toContain('| a/b | 1.235 | 1, 2 |');
  expect(figuresPage(read, files, none)).not.toContain('## fresh');
});

test('names every page of a study with what it is made from, and refuses results that no page shows', () => {
  const studied = { names: ['sae'], files: ['sae-a.json'], titles: { 'sae.md': 'Autoencoders' } };
  expect(figuresPage(read, files, studied)).toContain(
    '| [Autoencoders](../studies/results/sae.md) | `npm run study -- sae` | `sae-a.json` |',
  );
  expect(() => figuresPage(read, files, { ...studied, files: ['lost.json'] })).toThrow(
    /lost\.json is shown by no page/,
  );
});
