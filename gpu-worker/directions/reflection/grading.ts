/** Grading of answers: what a text gives as its answer, and whether that is the known one. */

/** The last \boxed{...} of a text, braces balanced; null for none. */
function boxed(text: string): string | null {
  const start = text.lastIndexOf('\\boxed{');
  if (start < 0) {
    return null;
  }
  const from = start + '\\boxed{'.length;
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    depth += Number(text[at] === '{') - Number(text[at] === '}');
    if (depth === 0) {
      return text.slice(from, at);
    }
  }
  return null;
}

/** An answer as one spelling: without spaces, dollars, thousands' commas and units of layout; fractions as a/b. */
export const normalised = (answer: string): string =>
  answer
    .replace(/\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}/g, '($1)/($2)')
    .replace(/\\(left|right|,|;|!|text|mathrm)/g, '')
    .replace(/(\d),(?=\d{3}(\D|$))/g, '$1')
    .replace(/[\s$\\]/g, '')
    .replace(/[.。]+$/, '')
    .replace(/\((-?[\w.]+)\)/g, '$1')
    .toLowerCase();

/** The number that a normalised answer is, decimal or a fraction; null for anything else. */
function numberOf(answer: string): number | null {
  const [, top, bottom = '1'] = /^([+-]?\d*\.?\d+)(?:\/([+-]?\d*\.?\d+))?%?$/.exec(answer) ?? [];
  if (top === undefined) {
    return null;
  }
  const value = Number(top) / Number(bottom);
  return Number.isFinite(value) ? value : null;
}

/** What a text answers: behind the marker where there is one, else in its last box, else its last number; null for nothing. */
export function givenAnswer(text: string, marker: string | null): string | null {
  if (marker !== null) {
    const at = text.lastIndexOf(marker);
    const found = at < 0 ? '' : (/\S+/.exec(text.slice(at + marker.length))?.[0] ?? '');
    return found === '' ? null : found;
  }
  return boxed(text) ?? /[+-]?\d[\d,]*(?:\.\d+)?(?:\/\d+)?(?!.*\d)/s.exec(text)?.[0] ?? null;
}

export function sameAnswer(given: string, known: string): boolean {
  const [a, b] = [normalised(given), normalised(known)];
  const [x, y] = [numberOf(a), numberOf(b)];
  return x !== null && y !== null ? Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(y)) : a === b;
}
