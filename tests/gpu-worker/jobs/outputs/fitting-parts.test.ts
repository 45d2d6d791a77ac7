import { expect, it } from 'vitest';
import { fittingParts } from '../../../../gpu-worker/jobs/outputs/fitting-parts.ts';

function filesOf() {
  const files = new Map<string, string>();
  const artefact = async (name: string, media_type: string, content: unknown) => {
    const bytes = content as Uint8Array;
    files.set(name, new TextDecoder().decode(bytes));
    return { name, sha256: '0'.repeat(64), bytes: bytes.byteLength, media_type };
  };
  return { files, context: { artefact } };
}

it('leaves parts that fit as they are, and writes no file', async () => {
  const { files, context } = filesOf();
  const parts = { inputs: [{ levels: ['a', 'b'] }], excluded: [] };
  expect(await fittingParts(context, 'report.json', parts)).toEqual({ shown: parts, file: null });
  expect(files.size).toBe(0);
});

it('shows the first entries of lists at every depth, and keeps the whole in a file', async () => {
  const { files, context } = filesOf();
  const levels = Array.from({ length: 900 }, (_, i) => `level ${i} `.padEnd(1000, '.'));
  const parts = { inputs: [{ name: 'x' }, { name: 'kind', levels }], count: 900, none: null };
  const { shown, file } = await fittingParts(context, 'report.json', parts);
  expect(JSON.parse(files.get(file!)!)).toEqual(parts);
  expect(JSON.stringify(shown).length).toBeLessThan(131_072);
  const [first, second] = shown.inputs as [{ name: string }, { name: string; levels: string[] }];
  expect([first, second.name, shown.count, shown.none]).toEqual([{ name: 'x' }, 'kind', 900, null]);
  expect(second.levels.length).toBeGreaterThan(90);
  expect(second.levels).toEqual(levels.slice(0, second.levels.length));
});
