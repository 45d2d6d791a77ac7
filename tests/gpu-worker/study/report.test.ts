import { expect, it } from 'vitest';
import { reportFiles } from '../../../gpu-worker/study/index.ts';

it('writes one document and its plots', () => {
  const files = reportFiles({ kind: 'things', body: { n: 1, list: [2.5] }, plots: [{ name: 'a', svg: '<svg/>' }] });
  expect(files.map(({ name, mediaType }) => [name, mediaType])).toEqual([
    ['report.json', 'application/json'],
    ['a.svg', 'image/svg+xml'],
  ]);
  const text = new TextDecoder().decode(files[0]!.content);
  expect(JSON.parse(text)).toEqual({ schema: 1, kind: 'things', n: 1, list: [2.5] });
  expect(text.endsWith('}\n')).toBe(true);
});

it('refuses a number that JSON would turn into null, and says where it stands', () => {
  const body = { runs: [{ kl: 1 }, { kl: Number.NaN }] };
  expect(() => reportFiles({ kind: 'things', body, plots: [] })).toThrow('/runs/1/kl of the report is NaN');
});
