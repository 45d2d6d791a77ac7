/** Passages hold exactly the text that was sent, wherever a reading begins, and the account of it adds up. */
import { describe, expect, it } from 'vitest';
import { type CorpusPosition, type Passage, PassageReading } from '../../../../gpu-worker/lm/corpus/passages.ts';
import type { LeftOut, TextAccount } from '../../../../shared/contracts/text-use.ts';
import { stream } from '../../../../shared/math/random.ts';

const SPECIAL = 1;
/** 37 documents of 0 to 24 tokens, which begin with a special one; every ninth has none, or nothing but that. */
const DOCUMENTS = Array.from({ length: 37 }, (_, i) => {
  const length = i % 9 === 4 ? (i % 2 === 0 ? 0 : 1) : 2 + ((i * 11) % 23);
  return [...stream(i, 'tokens').integers(length, 50)].map((id, at) => (at === 0 ? SPECIAL : id + 2));
});

type Options = {
  split: 'all' | 'train' | 'held_out';
  packing: 'documents' | 'packed';
  as: 'rows' | 'predictions';
  limit: number;
  countable?: boolean;
};
function reading({ split, packing, as, limit, countable = true }: Options, from?: CorpusPosition): PassageReading {
  const leaveOut = (token: number, place: number): LeftOut | null =>
    as === 'rows' ? (token === SPECIAL ? 'special' : null) : place === 0 ? 'first' : null;
  const source = {
    *documents({ document }: { document: number }) {
      for (let i = document; i < DOCUMENTS.length; i++) {
        yield { document: i, byte: i, line: i, ids: () => DOCUMENTS[i] ?? [] };
      }
    },
    keep: (document: number) => split === 'all' || (document % 10 === 0) === (split === 'held_out'),
    endless: false,
    countable,
  };
  return new PassageReading(source, { split, packing, length: 7, limit, leaveOut }, from);
}
async function all(passages: AsyncIterable<Passage>): Promise<Passage[]> {
  const list: Passage[] = [];
  for await (const passage of passages) {
    list.push(passage);
  }
  return list;
}
const sum = (counts: Partial<Record<string, number>>) =>
  Object.values(counts).reduce<number>((a, b) => a + (b ?? 0), 0);
const tokensOf = (passages: readonly Passage[]) =>
  passages.flatMap(({ ids, documents, positions }) =>
    [...ids].map((id, i) => [id, documents[i], positions[i]] as const),
  );

const USES = (['all', 'train', 'held_out'] as const).flatMap((split) =>
  (['documents', 'packed'] as const).flatMap((packing) =>
    (['rows', 'predictions'] as const).flatMap((as) => [1, 30, 1e9].map((limit) => ({ split, packing, as, limit }))),
  ),
);

describe('passages', () => {
  it.each(USES)('are the text as it was sent: $split, $packing, $as up to $limit', async (use) => {
    const read = reading(use);
    const passages = await all(read);
    const found = tokensOf(passages);
    for (const [id, document, position] of found) {
      expect(DOCUMENTS[document ?? -1]?.[position ?? -1]).toBe(id);
    }
    const kept = DOCUMENTS.map((ids, i) => ({ ids, i })).filter(
      ({ i }) => use.split === 'all' || (i % 10 === 0) === (use.split === 'held_out'),
    );
    const sent = kept.flatMap(({ ids, i }) => ids.map((id, at) => [id, i, at] as const));
    expect(found).toEqual(sent.slice(0, found.length));
    for (const { ids, documents, positions } of passages) {
      expect(ids.length).toBeLessThanOrEqual(7);
      if (use.packing === 'documents') {
        expect(new Set(documents).size).toBe(1);
        expect((positions[0] ?? -1) % 7).toBe(0);
      }
    }
    const { documents, tokens, windows } = await read.account();
    expect(windows).toBe(passages.length);
    expect(documents.sent).toBe(DOCUMENTS.length);
    expect(tokens.sent).toBe(DOCUMENTS.flat().length);
    for (const counts of [documents, tokens]) {
      expect(counts.used + sum(counts.left_out)).toBe(counts.sent);
    }
    const used = passages.flatMap(({ ids, documents: of }) =>
      [...of].filter((_, i) => (use.as === 'rows' ? ids[i] !== SPECIAL : i > 0)),
    );
    expect(tokens.used).toBe(used.length);
    expect(documents.used).toBe(new Set(used).size);
    if (use.limit === 1e9) {
      expect(found.length).toBe(sent.length);
      expect(tokens.left_out.limit).toBeUndefined();
      expect(documents.left_out.empty).toBe(kept.filter(({ ids }) => ids.length === 0).length || undefined);
    } else {
      expect(tokens.used).toBe(use.limit);
    }
  });

  it.each(USES.filter(({ limit }) => limit > 1))('go on from every place: $split, $packing, $as', async (use) => {
    const whole = reading(use);
    const passages = await all(whole);
    const account: TextAccount = await whole.account();
    const plain = (some: readonly Passage[]) => some.map(({ next, ...tokens }) => tokens);
    for (const [i, { next }] of passages.entries()) {
      const rest = reading(use, JSON.parse(JSON.stringify(next)));
      expect(plain(await all(rest)), `after ${i + 1}`).toEqual(plain(passages.slice(i + 1)));
      expect(await rest.account(), `after ${i + 1}`).toEqual(account);
    }
    const ended = reading(use, whole.position);
    expect(await all(ended)).toEqual([]);
    expect(await ended.account()).toEqual(account);
  });

  it('of a text too large to be counted leave open how many tokens were sent, unless all are read', async () => {
    const use = { split: 'all', packing: 'documents', as: 'rows', countable: false } as const;
    const [part, whole] = [reading({ ...use, limit: 40 }), reading({ ...use, limit: 1e9 })];
    await all(part);
    await all(whole);
    expect((await part.account()).tokens).toMatchObject({ sent: null, used: 40 });
    expect((await part.account()).documents.sent).toBe(DOCUMENTS.length);
    expect((await whole.account()).tokens.sent).toBe(DOCUMENTS.flat().length);
  });
});
