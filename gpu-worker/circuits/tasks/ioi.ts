/**
 * Indirect object identification (Wang et al. 2022): two names, one of which is repeated; the answer is the other. 15 templates, the
 * indirect object first (ABBA) or the subject first (BABA).
 */
import { paramError } from '../../../shared/contracts/problem.ts';
import { type RandomStream, stream } from '../../../shared/math/random.ts';
import type { Tokenizer } from '../../lm/index.ts';
import type { WrittenPair } from './pair.ts';

/**
 * What the corrupted prompt has in the places of the names. `abc`: three new names; `s2_io`: the indirect object a second time; `io`:
 * a new indirect object; `s`: a new subject in both places; `order`: the first two exchanged.
 */
const IOI_CORRUPTIONS = ['abc', 's2_io', 'io', 's', 'order'] as const;
type IoiCorruption = (typeof IOI_CORRUPTIONS)[number];

const TEMPLATES = [
  'Then, {1} and {2} went to the {place}. {3} gave a {object} to',
  'Then, {1} and {2} had a lot of fun at the {place}. {3} gave a {object} to',
  'Then, {1} and {2} were working at the {place}. {3} decided to give a {object} to',
  'Then, {1} and {2} were thinking about going to the {place}. {3} wanted to give a {object} to',
  'Then, {1} and {2} had a long argument, and afterwards {3} said to',
  'After {1} and {2} went to the {place}, {3} gave a {object} to',
  'When {1} and {2} got a {object} at the {place}, {3} decided to give it to',
  'When {1} and {2} got a {object} at the {place}, {3} decided to give the {object} to',
  'While {1} and {2} were working at the {place}, {3} gave a {object} to',
  'While {1} and {2} were commuting to the {place}, {3} gave a {object} to',
  'After the lunch, {1} and {2} went to the {place}. {3} gave a {object} to',
  'Afterwards, {1} and {2} went to the {place}. {3} gave a {object} to',
  'Then, {1} and {2} had a long argument. Afterwards {3} said to',
  'The {place} {1} and {2} went to had a {object}. {3} gave it to',
  'Friends {1} and {2} found a {object} at the {place}. {3} gave it to',
] as const;
const NAMES =
  'Mary John James David Michael Robert Sarah Emma Anna Laura Paul Mark Peter Kevin Daniel Andrew Alice Kate Jane Lisa Susan Emily Rachel Adam Jason Thomas Brian Eric Steven Karen Amy Helen George William Richard Charles Joseph Matthew Anthony Scott Frank Jack Ryan Justin Tyler Jessica Amanda Melissa Nicole Crystal'.split(
    ' ',
  );
const PLACES = ['store', 'garden', 'restaurant', 'school', 'hospital', 'office', 'house', 'station'];
const OBJECTS = ['ring', 'kiss', 'bone', 'basketball', 'computer', 'necklace', 'drink', 'snack'];
/** Two of the prompt, and three new ones. */
const NAMES_NEEDED = 5;

type IoiSettings = { pairs: number; corruption: IoiCorruption; seed: number };

/**
 * Pairs with the positions IO, S1, S1+1, S2 and END. Templates and orders take turns, so that each has its equal share.
 * @throws SextantError `data_invalid` where fewer than five names are single tokens of the model
 */
export function ioiPairs(tokenizer: Tokenizer, { pairs, corruption, seed }: IoiSettings): WrittenPair[] {
  const names = NAMES.filter((name) => tokenizer.encode(` ${name}`, { special: false }).length === 1);
  if (names.length < NAMES_NEEDED) {
    throw paramError(
      'data_invalid',
      '/task',
      `${names.length} of ${NAMES.length} names are single tokens of this tokenizer; ${NAMES_NEEDED} are needed`,
    );
  }
  const random = stream(seed, 'circuits/ioi');
  return Array.from({ length: pairs }, (_, i) => {
    const template = TEMPLATES[i % TEMPLATES.length]!;
    const subjectFirst = Math.floor(i / TEMPLATES.length) % 2 === 1;
    const own = random.derive(i);
    const [io, s, a, b, c] = drawn(own.derive('names'), names, NAMES_NEEDED) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const place = drawn(own.derive('place'), PLACES, 1)[0]!;
    const object = drawn(own.derive('object'), OBJECTS, 1)[0]!;
    const filled = (slots: { io: string; s1: string; s2: string }, turned = false): string => {
      const [first, second] = subjectFirst !== turned ? [slots.s1, slots.io] : [slots.io, slots.s1];
      return fill(template, { place, object, 1: first, 2: second, 3: slots.s2 });
    };
    const plain = { io, s1: s, s2: s };
    const twin = {
      abc: () => filled({ io: a, s1: b, s2: c }),
      s2_io: () => filled({ ...plain, s2: io }),
      io: () => filled({ ...plain, io: a }),
      s: () => filled({ io, s1: a, s2: a }),
      order: () => filled(plain, true),
    }[corruption]();
    const clean = filled(plain);
    const [first, second, third] = ['1', '2', '3'].map((slot) => tokenAt(tokenizer, template, slot, clean)) as [
      number,
      number,
      number,
    ];
    const s1 = subjectFirst ? first : second;
    return {
      clean,
      corrupted: twin,
      answer: [` ${io}`],
      other: [` ${s}`],
      template: `${i % TEMPLATES.length} ${subjectFirst ? 'BABA' : 'ABBA'}`,
      positions: {
        IO: subjectFirst ? second : first,
        S1: s1,
        'S1+1': s1 + 1,
        S2: third,
        END: -1,
      },
    };
  });
}

const fill = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replace(/\{(\w+)\}/g, (_, name: string) => values[name]!);

/** Number of the token that fills a slot of the text: every slot is one word, and a name one token. */
function tokenAt(tokenizer: Tokenizer, template: string, slot: string, text: string): number {
  const words = template.split(' ').findIndex((word) => word.startsWith(`{${slot}}`));
  return tokenizer.encode(text.split(' ').slice(0, words).join(' '), { special: false }).length;
}

const drawn = <T>(random: RandomStream, from: readonly T[], count: number): T[] =>
  Array.from(random.subset(from.length, count), (at) => from[at]!);
