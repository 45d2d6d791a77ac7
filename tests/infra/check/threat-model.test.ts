/** Every line of the threat model names a test that exists, or says why there is none. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const text = readFileSync(join(ROOT, 'edge/guides/threat-model.md'), 'utf8');

/** Rows of tables, items of lists, and the paragraphs of the sections that have neither. */
function linesOf(page: string): string[] {
  const sections = page.split(/^##+ /m).slice(1);
  return sections.flatMap((section) => {
    const rows = section.split('\n').filter((line) => /^\| (?!Attack|-)/.test(line));
    const items = section
      .split(/^(?=(?:\d+\.|-) )/m)
      .slice(1)
      .map((item) => item.split(/\n\n/)[0]!);
    if (rows.length > 0 || items.length > 0) {
      return [...rows, ...items];
    }
    return section
      .split('\n\n')
      .slice(1)
      .filter((paragraph) => paragraph.trim() !== '');
  });
}
const unguarded = (page: string): string[] =>
  linesOf(page).filter((line) => !/`tests\/[^`]+\.test\.ts`|\(No test: /.test(line));

describe('the threat model', () => {
  it('names a test in every line', () => {
    expect(linesOf(text).length).toBeGreaterThan(12);
    expect(unguarded(text)).toEqual([]);
  });
  it('names tests that exist', () => {
    const named = [...text.matchAll(/`(tests\/[^`]+)`/g)].map(([, path]) => path!);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
  it('would be found out', () => {
    expect(unguarded('## A\n\n| Attack | Guard |\n| --- | --- |\n| One | nothing |\n')).toEqual(['| One | nothing |']);
    expect(unguarded('## A\n\n1. guarded (`tests/a.test.ts`)\n2. not\n')).toEqual(['2. not\n']);
    expect(unguarded('## A\n\nA paragraph.\n')).toEqual(['A paragraph.\n']);
  });
  it('is right about the flag that sends fetch by the public Internet', () => {
    expect(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')).toMatch(
      /^compatibility_flags = .*"global_fetch_strictly_public"/m,
    );
  });
});
