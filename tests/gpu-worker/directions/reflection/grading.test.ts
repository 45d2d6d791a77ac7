import { describe, expect, it } from 'vitest';
import { givenAnswer, normalised, sameAnswer } from '../../../../gpu-worker/directions/reflection/grading.ts';

describe('givenAnswer', () => {
  it.each([
    ['so it is \\boxed{\\frac{1}{2}} and \\boxed{x^{2}+1}.', null, 'x^{2}+1'],
    ['first 12, then 1,234.5 apples', null, '1,234.5'],
    ['it is 3/4', null, '3/4'],
    ['4 GOOD NL ANS 7', 'ANS', '7'],
    ['ANS 3 no: ANS', 'ANS', null],
    ['no idea', null, null],
    ['open \\boxed{12', null, '12'],
  ])('%s', (text, marker, answer) => {
    expect(givenAnswer(text, marker)).toBe(answer);
  });
});

describe('sameAnswer', () => {
  it.each([
    ['\\frac{1}{2}', '0.5', true],
    ['1,234', '1234', true],
    ['1,23', '123', false],
    ['$ 7. $', '7', true],
    ['x + 1', 'x+1', true],
    ['(3)', '3', true],
    ['2/3', '0.6667', false],
    ['12', '21', false],
    ['0', 'x', false],
  ])('%s and %s', (a, b, same) => {
    expect(sameAnswer(a, b)).toBe(same);
  });

  it('leaves what is no number as it is written', () => {
    expect(normalised(' \\text{Yes} ')).toBe('{yes}');
  });
});
