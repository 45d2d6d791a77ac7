import { expect, it } from 'vitest';
import { jsonLine } from '../../../shared/formats/json-line.ts';

it.each([
  ['{"a":"\\ud83d\\ude00 \\\\ud83d"}', { a: '\u{1f600} \\ud83d' }],
  ['["\\\\\\ud83d\\ude00"]', ['\\\u{1f600}']],
  ['"\u{1f600}"', '\u{1f600}'],
])('%s is read as it stands', (line, value) => {
  expect(jsonLine(line)).toEqual({ value });
});

it.each([
  ['{"a":', /not JSON/],
  ['{"a":"\\ud83d"}', /half of a character/],
  ['{"a":["\\\\\\uDC00\\ud83d"]}', /half of a character/],
  ['{"\\ud83dx":1}', /half of a character/],
])('%s is refused', (line, wrong) => {
  expect(jsonLine(line)).toMatchObject({ wrong: expect.stringMatching(wrong) });
});
