import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { JOB_CONTRACTS } from '../../../shared/jobs/index.generated.ts';

const root = join(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readme = read('README.md');

test('the README has at most 120 lines', () => {
  expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(120);
});

test.each(Object.keys(JOB_CONTRACTS))('%s has a row in the table of what it can do', (type) => {
  const rows = readme.split('\n').filter((line) => line.startsWith('|'));
  expect(rows.some((row) => row.includes(`\`${type}\``))).toBe(true);
});

describe.each([
  'README.md',
  'shared/README.md',
  'edge/README.md',
  'gpu-worker/README.md',
  'infra/README.md',
  'tests/README.md',
])('%s', (file) => {
  const text = read(file);

  test('links to files that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => join(dirname(file), path));
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('names files and folders that exist', () => {
    const base = dirname(file);
    const paths = [...text.matchAll(/`((?:shared|edge|gpu-worker|infra|tests)\/[\w./-]+)`/g)].map(
      ([, path = '']) => path,
    );
    const missing = paths.filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, base, path)));
    expect(missing).toEqual([]);
  });
});
