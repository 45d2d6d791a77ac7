import { describe, expect, it } from 'vitest';
import { checkJsonText } from '../../../edge/http/json-text.ts';
import type { SextantError } from '../../../shared/contracts/problem.ts';

const faultOf = (text: string): string | undefined => {
  try {
    checkJsonText(text, 32);
    return undefined;
  } catch (error) {
    const { code, pointer } = (error as SextantError).errors![0]!;
    return `${code} ${pointer}`;
  }
};

describe('JSON text', () => {
  it('is bounded in the brackets outside its strings', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(() => checkJsonText(nested(32), 32)).not.toThrow();
    expect(() => checkJsonText(nested(33), 32)).toThrow('deeper');
    expect(() => checkJsonText(JSON.stringify([`\\"${'['.repeat(99)}`, '{"']), 2)).not.toThrow();
    expect(() => checkJsonText(JSON.stringify({ a: [], b: [], c: [{}] }), 3)).not.toThrow();
  });

  it.each([
    ['{"a":1,"a":1}', 'name_repeated /a'],
    ['{"a":{"b":[0,[{"c":1, "c" :2}]]}}', 'name_repeated /a/b/1/0/c'],
    ['{"a":[],"b":{"x":1},"\\u0061":2}', 'name_repeated /a'],
    ['{"a/b":[1,2,{"x~":"}","x~":1}]}', 'name_repeated /a~1b/2/x~0'],
    ['{"groups":{"__proto__":[1]}}', 'name_reserved /groups/__proto__'],
    ['[{"\\u005f_pr\\u006fto__":1}]', 'name_reserved /0/__proto__'],
    ['{"":1,"":2}', 'name_repeated /'],
    ['{"text":"\\ud800"}', 'text_ill_formed /text'],
    ['{"a":["good \\ud83d\\ude00",{"b":"\\uDE00\\uD83D"}]}', 'text_ill_formed /a/1/b'],
    ['{"\\udfff":1}', 'text_ill_formed /\ufffd'],
    ['"\\ud83d\\\\ude00"', 'text_ill_formed '],
  ])('names nothing that parsing would lose: %s', (text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });

  it.each([
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
    '{"a":"a","b":"a","c":["a","a","__proto__"],"d":"__proto__"}',
    '{"constructor":1,"toString":2,"hasOwnProperty":3,"proto":4}',
    '["{\\"a\\":1,\\"a\\":2}", "a", "a"]',
    '{"a":"\\\\","b":"\\"a\\":"}',
    '{"a":"\\ud83d\\ude00 \\u0041 \\\\ud800"}',
  ])('keeps everything else: %s', (text) => {
    expect(faultOf(text)).toBeUndefined();
    expect(() => JSON.parse(text)).not.toThrow();
  });

  it('finds no fault of its own in text that is no JSON: that is the parser’s to say', () => {
    for (const text of ['{"a', '{"\\u00zz":1}', ']}', '{,}', '"', '{"a":1,}']) {
      expect(faultOf(text)).toBeUndefined();
    }
  });
});
