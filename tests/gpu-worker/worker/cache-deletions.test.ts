import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { dropDeleted, dropStale } from '../../../gpu-worker/worker/cache-deletions.ts';
import { memoryOf } from '../../../gpu-worker/worker/job-memory.ts';
import { sha256Hex } from '../../../shared/signing/digest.ts';

const cache = mkdtempSync(join(tmpdir(), 'sextant-deletions-'));
afterAll(() => rmSync(cache, { recursive: true }));
const forgotten: string[] = [];
const computations = { forget: (digests: readonly string[]) => void forgotten.push(...digests) };
const digest = (letter: string) => letter.repeat(64);
const pathOf = (letter: string) => join(cache, 'blobs', digest(letter).slice(0, 2), digest(letter));

it('drops deleted blobs from the cache, page by page, and goes on from there after a restart', async () => {
  for (const letter of ['a', 'b', 'c']) {
    mkdirSync(join(cache, 'blobs', letter.repeat(2)), { recursive: true });
    writeFileSync(pathOf(letter), letter);
  }
  const asked: string[] = [];
  const pages = new Map([
    ['?after=0', { cursor: 4, deletions: [{ sha256: digest('a') }, { sha256: digest('f') }] }],
    ['?after=4', { cursor: 5, deletions: [{ sha256: digest('b') }] }],
  ]);
  const edge = {
    get: async (_path: string, query: string) => {
      asked.push(query);
      return (pages.get(query) ?? { cursor: 5, deletions: [] }) as never;
    },
  };
  await dropDeleted(edge, cache, computations);
  expect(asked).toEqual(['?after=0', '?after=4', '?after=5']);
  expect(['a', 'b', 'c'].map((letter) => existsSync(pathOf(letter)))).toEqual([false, false, true]);
  expect(readFileSync(join(cache, 'deletions-cursor'), 'utf8')).toBe('5');
  expect(forgotten).toEqual(['a', 'f', 'b'].map(digest));
  await dropDeleted(edge, cache, computations);
  expect(asked.at(-1)).toBe('?after=5');
});

it('drops what it remembers of a deleted job, and everything where it has not followed for days', async () => {
  const [gone, kept] = ['job_gone', 'job_kept'];
  for (const job of [gone, kept]) {
    mkdirSync(await memoryOf(job, cache), { recursive: true });
    writeFileSync(join(await memoryOf(job, cache), 'state'), job);
  }
  const deletion = { sha256: await sha256Hex(gone) };
  const edge = {
    get: async (_path: string, query: string) =>
      (query === '?after=5' ? { cursor: 6, deletions: [deletion] } : { cursor: 6, deletions: [] }) as never,
  };
  await dropDeleted(edge, cache, computations);
  expect(existsSync(await memoryOf(gone, cache))).toBe(false);
  expect(existsSync(await memoryOf(kept, cache))).toBe(true);
  const day = 86_400_000;
  await dropStale(cache, Date.now() + 5 * day);
  expect(existsSync(await memoryOf(kept, cache))).toBe(true);
  await dropStale(cache, Date.now() + 7 * day);
  expect([existsSync(await memoryOf(kept, cache)), existsSync(pathOf('c'))]).toEqual([false, false]);
});
