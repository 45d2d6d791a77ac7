import { describe, expect, it } from 'vitest';
import { globMatches } from '../../../../gpu-worker/lm/weights/name-patterns.ts';
import { stream } from '../../../../shared/math/random.ts';

describe('name patterns', () => {
  it('match as the regular expression with .* in place of * does', () => {
    const random = stream(1, 'patterns');
    const draw = (at: number, alphabet: string, length: number) =>
      [...random.integers(length, alphabet.length, { start: 100 * at })].map((i) => alphabet[i]).join('');
    let matched = 0;
    for (let i = 0; i < 3000; i++) {
      const pattern = draw(2 * i, 'ab*.', i % 7);
      const name = draw(2 * i + 1, 'ab.', i % 6);
      const oracle = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(name);
      expect([pattern, name, globMatches(pattern, name)]).toEqual([pattern, name, oracle]);
      matched += Number(oracle);
    }
    expect(matched).toBeGreaterThan(50);
  });

  it('take no longer for hostile ones', () => {
    expect(globMatches(`${'a*'.repeat(90)}b`, 'a'.repeat(200))).toBe(false);
  });
});
