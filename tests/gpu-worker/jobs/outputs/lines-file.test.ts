import { expect, it } from 'vitest';
import { linesBeyond } from '../../../../gpu-worker/jobs/outputs/lines-file.ts';

function filesOf() {
  const files = new Map<string, string>();
  const artefact = async (name: string, media_type: string, content: unknown) => {
    const bytes = content as Uint8Array;
    files.set(name, new TextDecoder().decode(bytes));
    return { name, sha256: '0'.repeat(64), bytes: bytes.byteLength, media_type };
  };
  return { files, context: { artefact } };
}

it('shows what fits, and writes no file then', async () => {
  const { files, context } = filesOf();
  expect(await linesBeyond(context, 'texts.jsonl', [{ text: 'a' }, { text: 'b' }])).toEqual({ shown: 2, file: null });
  expect(files.size).toBe(0);
});

it('shows the first that fit, and keeps all of them in a file', async () => {
  const { files, context } = filesOf();
  const lines = Array.from({ length: 40 }, (_, i) => ({ i, text: 'x'.repeat(10_000) }));
  const { shown, file } = await linesBeyond(context, 'texts.jsonl', lines);
  expect(file).toBe('texts.jsonl');
  expect(JSON.stringify(lines.slice(0, shown)).length).toBeLessThan(262_144);
  expect(shown).toBeGreaterThan(10);
  const kept = files.get('texts.jsonl')?.trimEnd().split('\n') ?? [];
  expect(kept.map((line) => JSON.parse(line))).toEqual(lines);
});

it('shows none where the first alone is too long', async () => {
  const { context } = filesOf();
  const long = { text: 'x'.repeat(3_000_000) };
  expect(await linesBeyond(context, 'texts.jsonl', [long])).toEqual({ shown: 0, file: 'texts.jsonl' });
});
