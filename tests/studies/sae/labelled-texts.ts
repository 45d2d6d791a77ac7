/** Labelled texts of the reference data, in the form that `sae.evaluate` takes. */
import { readdirSync, readFileSync } from 'node:fs';
import { readCsv } from '../../../shared/formats/csv.ts';
import { columnOf, type Table } from '../../../shared/formats/table.ts';
import { stream } from '../../../shared/math/random.ts';
import { data } from '../../support/guide.ts';

export type Labelled = { text: string; label: string; spurious: string | null };

/** Characters of a text that are read: about 128 tokens of the story models. */
const LENGTH = 256;
/** Texts taken of each label (and value of the spurious attribute), so that none outweighs the others. */
const PER_LABEL = 300;

/** At most `PER_LABEL` texts of each kind, by a fixed draw. */
function drawn(name: string, texts: readonly Labelled[]): Labelled[] {
  const taken = new Map<string, number>();
  return [...stream(0, `labelled-texts/${name}`).permutation(texts.length)].flatMap((i) => {
    const { label, spurious } = texts[i]!;
    const text = texts[i]!.text.replace(/\s+/g, ' ').trim().slice(0, LENGTH);
    const kind = `${label}/${spurious}`;
    const count = taken.get(kind) ?? 0;
    if (text.length === 0 || count >= PER_LABEL) {
      return [];
    }
    taken.set(kind, count + 1);
    return [{ text, label, spurious }];
  });
}

const folder = (...parts: string[]): string => data('text', ...parts);

/** A column as texts; a missing value is empty. */
function textsOf(table: Table, name: string): string[] {
  const column = columnOf(table, name);
  return column.kind === 'number'
    ? [...column.values].map(String)
    : [...column.codes].map((code) => column.levels[code] ?? '');
}

function sst2(): Labelled[] {
  const lines = readFileSync(folder('sst2', 'train.tsv'), 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [text, label] = line.split('\t');
    return { text: text!, label: label === '1' ? 'positive' : 'negative', spurious: null };
  });
}

function agNews(): Labelled[] {
  const table = readCsv(readFileSync(folder('ag_news', 'test.csv')), { names: ['class', 'title', 'text'] });
  const names = readFileSync(folder('ag_news', 'classes.txt'), 'utf8').trim().split('\n');
  const [classes, titles, texts] = ['class', 'title', 'text'].map((name) => textsOf(table, name));
  return classes!.map((label, i) => ({
    text: `${titles![i]} ${texts![i]}`,
    label: names[Number(label) - 1]!,
    spurious: null,
  }));
}

function biographies(file: string): Labelled[] {
  const table = readCsv(readFileSync(folder('bias_in_bios', file)));
  const [texts, professions, genders] = ['hard_text', 'profession', 'gender'].map((name) => textsOf(table, name));
  return texts!.map((text, i) => ({ text, label: professions![i]!, spurious: genders![i]! }));
}

/** Accountants, of whom the data has a thousand, against the ten each of the other professions; the attribute is gender. */
function biasInBios(): Labelled[] {
  const others = readdirSync(folder('bias_in_bios')).filter((file) => !file.startsWith('accountant'));
  return [
    ...biographies('accountant_complete.csv').slice(0, others.length * 10),
    ...others.flatMap((file) => biographies(file).map((bio) => ({ ...bio, label: 'other' }))),
  ];
}

function amazon(): Labelled[] {
  const lines = readFileSync(folder('amazon_text', 'test.json'), 'utf8').trim().split('\n');
  return lines.map((line) => {
    const { review, label } = JSON.parse(line) as { review: string; label: number };
    return { text: review, label: label === 1 ? 'positive' : 'negative', spurious: null };
  });
}

/** Every set: bios also with the gender as the label. */
export function labelledTexts(): { name: string; texts: Labelled[] }[] {
  const bios = biasInBios();
  const gender = bios.map(({ text, spurious }) => ({ text, label: spurious!, spurious: null }));
  const sets = {
    sst2: sst2(),
    ag_news: agNews(),
    bias_in_bios: bios,
    'bias_in_bios, gender': gender,
    amazon_text: amazon(),
  };
  return Object.entries(sets).map(([name, texts]) => ({ name, texts: drawn(name, texts) }));
}

const GIRLS = ['Lily', 'Sue', 'Mia', 'Anna', 'Emma', 'Jane', 'Sara', 'Lucy', 'Mary', 'Amy'];
const BOYS = ['Tim', 'Tom', 'Max', 'Ben', 'Jack', 'Sam', 'Bob', 'Fred', 'Leo', 'Billy'];
const FRAMES = [
  (who: string) => `Once upon a time, there was a little ${who}. One day,`,
  (who: string) => `There was a ${who}. In the park,`,
  (who: string) => `A ${who} was very happy. Then`,
  (who: string) => `The ${who} had a big red ball. But`,
  (who: string) => `Once there was a ${who} who liked to play. When the sun came up,`,
  (who: string) => `There was a ${who} with a toy. At home,`,
];
const contexts = (people: readonly string[]): string[] => people.flatMap((who) => FRAMES.map((frame) => frame(who)));

/** Girl against boy in a story, for the story model's tokenizer. */
export const GENDER_STEERING = {
  positive: { texts: contexts(GIRLS.map((name) => `girl named ${name}`)), tokens: ['she', 'She', 'her'] },
  negative: { texts: contexts(BOYS.map((name) => `boy named ${name}`)), tokens: ['he', 'He', 'his'] },
  prompts: contexts(['child', 'cat', 'dog', 'bird']),
  strengths: [0.1, 0.2, 0.4, 0.8],
};
