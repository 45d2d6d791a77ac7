/** Text in SVG: escaped, and measured well enough to keep it clear of its neighbours. */

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text that may stand between tags and in attributes; characters that XML 1.0 forbids are left out. */
export const escapeText = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

const emOf = (character: string): number => {
  if ((character.codePointAt(0) ?? 0) > 0x2e7f) {
    return 1.05;
  }
  if (/[ijl.,:;|!'()[\]{}ft ]/.test(character)) {
    return 0.36;
  }
  if (/[mwMW@%]/.test(character)) {
    return 0.95;
  }
  return /[A-Z0-9_#&]/.test(character) ? 0.68 : 0.58;
};

/** Width in pixels that a text takes at a font size, on the generous side for common sans-serif faces. */
export const textWidth = (text: string, size: number): number =>
  size * [...text].reduce((sum, character) => sum + emOf(character), 0);

/** The text, or its start with an ellipsis where it is wider than `width` pixels. */
export function shortened(text: string, size: number, width: number): string {
  if (textWidth(text, size) <= width) {
    return text;
  }
  const characters = [...text];
  while (characters.length > 1 && textWidth(`${characters.join('')}…`, size) > width) {
    characters.pop();
  }
  return `${characters.join('').trimEnd()}…`;
}

/** The text in lines no wider than `width` pixels, broken at spaces; a word that is wider is shortened. */
export function wrapped(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(`${last} ${word}`, size) <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(shortened(word, size, width));
    }
  }
  return lines;
}

/** A coordinate as attributes hold it. */
export const px = (value: number): string => String(Number(value.toFixed(1)));

type TextSettings = { anchor?: 'start' | 'middle' | 'end'; look?: string; turned?: number };

/** One line of text with its baseline at (x, y); `turned` rotates it around that point, in degrees. */
export function label(
  x: number,
  y: number,
  text: string,
  { anchor = 'start', look, turned }: TextSettings = {},
): string {
  const at =
    turned === undefined ? `x="${px(x)}" y="${px(y)}"` : `transform="translate(${px(x)} ${px(y)}) rotate(${turned})"`;
  return `<text ${at}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}${look ? ` class="${look}"` : ''}>${escapeText(text)}</text>`;
}
