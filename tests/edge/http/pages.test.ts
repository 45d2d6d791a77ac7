import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { AppEnv } from '../../../edge/environment.ts';
import { byKey, pageOf } from '../../../edge/http/pages.ts';

type Row = { key: string; text: string };
const rowsOf = (count: number, length: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({ key: `k${String(i).padStart(3, '0')}`, text: 'x'.repeat(length) }));
const listOf = (rows: readonly Row[]) =>
  new Hono<AppEnv>().get('/', async (c) => {
    const read = (after: string, limit: number) => rows.filter(({ key }) => key > after).slice(0, limit);
    const query = { limit: 100, cursor: c.req.query('cursor') };
    return c.json(
      await pageOf(
        c,
        query,
        byKey<Row>(({ key }) => key),
        read,
        (row) => row,
      ),
    );
  });

it.each([
  [100, 100_000],
  [3, 3_000_000],
])('a list of %i items of %i characters is read in pages that are bounded, each item once', async (count, length) => {
  const rows = rowsOf(count, length);
  const app = listOf(rows);
  const read: Row[] = [];
  let pages = 0;
  for (let cursor: string | null = ''; cursor !== null; pages += 1) {
    const answer = await app.request(cursor === '' ? '/' : `/?cursor=${cursor}`);
    const text = await answer.text();
    expect(text.length).toBeLessThan(Math.max(2_100_000, length + 1000));
    const page = JSON.parse(text) as { data: Row[]; next_cursor: string | null };
    expect(answer.headers.has('link')).toBe(page.next_cursor !== null);
    read.push(...page.data);
    cursor = page.next_cursor;
  }
  expect(read).toEqual(rows);
  expect(pages).toBeGreaterThan(2);
});
