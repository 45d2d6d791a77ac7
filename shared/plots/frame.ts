/** The frame of a drawing: title, note, legend and axes around the place for marks, each clear of the others. */
import type { Scale, Scaled } from './axis.ts';
import { label, px, shortened, textWidth, wrapped } from './text.ts';

/** The place for marks, in pixels. */
type Plot = { left: number; right: number; top: number; bottom: number };
/** Where values lie in pixels along both axes, or null outside them. Names on the upright axis run from the top down. */
export const placing = (plot: Plot, x: Scale, y: Scale) => ({
  x: (value: number): number | null => {
    const share = x.share(value);
    return share === null ? null : plot.left + share * (plot.right - plot.left);
  },
  y: (value: number): number | null => {
    const share = y.share(value);
    if (share === null) {
      return null;
    }
    return y.names ? plot.top + share * (plot.bottom - plot.top) : plot.bottom - share * (plot.bottom - plot.top);
  },
});
export type Place = ReturnType<typeof placing>;

/** One entry of a legend: its text, and its swatch drawn around (x, y), 18 pixels wide. */
export type Entry = { text: string; swatch: (x: number, y: number) => string };

const [FONT, TITLE, LINE, EDGE] = [12, 15, 17, 12] as const;
const SWATCH = 24;
/** Bold text is wider than `textWidth` says; a title has this share of the width. */
const BOLD = 0.85;

/** Title and note and legend from the top down: their parts, and the first free height below them. */
export function heading(
  width: number,
  title: string,
  note: string | undefined,
  entries: readonly Entry[],
): { parts: string[]; below: number } {
  const parts: string[] = [];
  let y = 8;
  for (const line of wrapped(title, TITLE, (width - 2 * EDGE) * BOLD)) {
    y += 20;
    parts.push(label(EDGE, y - 4, line, { look: 'title' }));
  }
  for (const line of note ? wrapped(note, FONT, width - 2 * EDGE) : []) {
    y += LINE;
    parts.push(label(EDGE, y - 4, line));
  }
  let x = EDGE;
  if (entries.length > 0) {
    y += LINE + 3;
  }
  for (const { text, swatch } of entries) {
    const short = shortened(text, FONT, width - 2 * EDGE - SWATCH);
    const wide = SWATCH + textWidth(short, FONT);
    if (x > EDGE && x + wide > width - EDGE) {
      [x, y] = [EDGE, y + LINE];
    }
    parts.push(swatch(x + 9, y - 8), label(x + SWATCH, y - 4, short));
    x += wide + 18;
  }
  return { parts, below: y + 10 };
}

/** Height that names and numbers below the axis take while they stand level. */
export const LEVEL = LINE;
const LONGEST_NAME = 170;
/** How the ticks of the lower axis stand: level where all fit side by side, turned where they do not. */
type Standing = { turned: boolean; every: number; height: number };

function standing(scale: Scale, texts: readonly string[], wide: number): Standing {
  const room = wide / Math.max(1, texts.length);
  const widest = Math.max(0, ...texts.map((text) => textWidth(text, FONT)));
  if (!scale.names || widest + 6 <= room) {
    return { turned: false, every: 1, height: LEVEL };
  }
  const every = Math.ceil((FONT + 2) / room);
  // Names of one to three characters (layers, heads) read better level and thinned than turned.
  if (widest <= 24) {
    return { turned: false, every: Math.ceil((widest + 6) / room), height: LEVEL };
  }
  return { turned: true, every, height: widest * 0.71 + FONT };
}

/** Widths left and below that the axes take, before the place for marks is known. */
export function margins(x: Scaled, y: Scaled, width: number, beside = 0) {
  const last = x.scale.names ? 0 : textWidth(x.scale.ticks.at(-1)?.text ?? '', FONT) / 2 + 4;
  const right = Math.max(16, last) + beside;
  const names = y.scale.ticks.map(({ text }) => shortened(text, FONT, LONGEST_NAME));
  const left = Math.max(34, ...names.map((text) => textWidth(text, FONT) + 10)) + (y.axis.label ? 22 : 6);
  const texts = x.scale.ticks.map(({ text }) => shortened(text, FONT, LONGEST_NAME));
  const stands = standing(x.scale, texts, width - left - right);
  // A turned name ends under its tick and starts to the left of it: the first one must not leave the drawing.
  const overhang = stands.turned
    ? textWidth(texts[0] ?? '', FONT) * 0.71 - (width - left - right) / texts.length / 2 + 6
    : 0;
  return {
    left: Math.max(left, Math.min(overhang, width / 3)),
    right,
    bottom: stands.height + (x.axis.label ? 24 : 8),
    stands,
  };
}

/** Grid, ticks and labels of both axes around a place for marks. */
export function axes(plot: Plot, x: Scaled, y: Scaled, stands: Standing, grid = true): string[] {
  const high = plot.bottom - plot.top;
  const place = placing(plot, x.scale, y.scale);
  const parts: string[] = [];
  const rows = Math.ceil((FONT + 1) / (high / Math.max(1, y.scale.ticks.length)));
  y.scale.ticks.forEach(({ value, text }, i) => {
    const at = place.y(value) ?? plot.bottom;
    if (grid) {
      parts.push(`<path class="grid" d="M${px(plot.left)} ${px(at)}H${px(plot.right)}"/>`);
    }
    if (y.scale.names && i % rows !== 0) {
      return;
    }
    parts.push(label(plot.left - 7, at + 4, shortened(text, FONT, LONGEST_NAME), { anchor: 'end' }));
  });
  x.scale.ticks.forEach(({ value, text }, i) => {
    const at = place.x(value) ?? plot.left;
    if (grid && !x.scale.names) {
      parts.push(`<path class="grid" d="M${px(at)} ${px(plot.top)}V${px(plot.bottom)}"/>`);
    }
    if (i % stands.every !== 0) {
      return;
    }
    const short = shortened(text, FONT, LONGEST_NAME);
    parts.push(
      stands.turned
        ? label(at + 4, plot.bottom + 14, short, { anchor: 'end', turned: -45 })
        : label(at, plot.bottom + 16, short, { anchor: 'middle' }),
    );
  });
  if (grid) {
    parts.push(
      `<path class="axis" fill="none" d="M${px(plot.left)} ${px(plot.top)}V${px(plot.bottom)}H${px(plot.right)}"/>`,
    );
  }
  const middle = (plot.left + plot.right) / 2;
  if (x.axis.label) {
    const room = 2 * Math.min(middle, plot.right + EDGE - middle);
    parts.push(
      label(middle, plot.bottom + stands.height + 18, shortened(x.axis.label, FONT, room), { anchor: 'middle' }),
    );
  }
  if (y.axis.label) {
    const text = shortened(y.axis.label, FONT, Math.max(high, 120));
    parts.push(label(15, (plot.top + plot.bottom) / 2, text, { anchor: 'middle', turned: -90 }));
  }
  return parts;
}
