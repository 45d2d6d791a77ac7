/** Heat maps of named rows and columns as one SVG text, for light and dark pages. */
import { type NameAxis, scaleOf } from './axis.ts';
import { axes, type Entry, heading, margins, placing } from './frame.ts';
import { escapeText, label, px, textWidth } from './text.ts';
import { drawing, type Shade } from './theme.ts';

export type HeatMapSpec = {
  title: string;
  /** A line below the title. */
  note?: string;
  /** Names from left to right, and from the top down. */
  columns: NameAxis;
  rows: NameAxis;
  /** `values[row][column]`; null or a value that is not finite is a crossed-out cell. */
  values: readonly (readonly (number | null)[])[];
  /** What a value is, beside the colour bar. */
  value: string;
  /** `diverging` has one colour on each side of `centre` (zero unless told); `sequential` runs from low to high. */
  colours?: 'diverging' | 'sequential';
  centre?: number;
  /** The values at the ends of the colours; those beyond take the colour of the end. Without it, what the data spans. */
  range?: readonly [number, number];
  /** Cells with a border, and what the legend calls them. */
  chosen?: { cells: readonly { row: number; column: number }[]; name: string };
  width?: number;
};

type Colour = readonly [number, number, number];
/** Blue to red over the page's own tone (after ColorBrewer RdBu), and light to dark blue: turned round on dark pages. */
const STOPS: Record<'diverging' | 'sequential', { light: readonly Colour[]; dark: readonly Colour[] }> = {
  diverging: {
    light: [
      [33, 102, 172],
      [146, 197, 222],
      [247, 247, 247],
      [244, 165, 130],
      [178, 24, 43],
    ],
    dark: [
      [104, 182, 255],
      [45, 98, 150],
      [34, 39, 45],
      [150, 66, 52],
      [255, 128, 108],
    ],
  },
  sequential: {
    light: [
      [239, 245, 251],
      [158, 202, 225],
      [66, 146, 198],
      [8, 69, 148],
    ],
    dark: [
      [28, 36, 46],
      [30, 78, 122],
      [62, 141, 201],
      [183, 222, 255],
    ],
  },
};
const STEPS = 40;

const mixed = (stops: readonly Colour[], share: number): string => {
  const at = share * (stops.length - 1);
  const [from, to] = [stops[Math.floor(at)], stops[Math.ceil(at)]];
  const channel = (i: 0 | 1 | 2) => Math.round((from?.[i] ?? 0) + ((to?.[i] ?? 0) - (from?.[i] ?? 0)) * (at % 1));
  return `rgb(${channel(0)},${channel(1)},${channel(2)})`;
};

const [WIDTH, BAR, LEAST_ROW, MOST_ROW] = [600, 14, 15, 34] as const;

/** The heat map as SVG: a cell for each value with its number as a tooltip, and a colour bar with round ticks. */
export function heatMap(spec: HeatMapSpec): string {
  const { columns, rows, values, colours = 'diverging', centre = 0, chosen } = spec;
  const width = spec.width ?? WIDTH;
  const finite = values.flat().filter((value): value is number => value !== null && Number.isFinite(value));
  const [low, high] = spec.range ?? spanOf(finite, colours === 'diverging' ? centre : undefined);
  const shade = (value: number) => Math.round(STEPS * Math.min(1, Math.max(0, (value - low) / (high - low))));
  const ring: Entry[] = chosen
    ? [{ text: chosen.name, swatch: (x, y) => `<path class="ring" d="M${px(x - 6)} ${px(y - 6)}h12v12h-12Z"/>` }]
    : [];
  const head = heading(width, spec.title, spec.note, ring);

  const bar = scaleOf({ label: '', range: [low, high] }, [], 5);
  const barRoom = BAR + 14 + Math.max(...bar.ticks.map(({ text }) => textWidth(text, 12))) + (spec.value ? 24 : 6);
  const [x, y] = [
    { axis: columns, scale: scaleOf(columns, [], 0) },
    { axis: rows, scale: scaleOf(rows, [], 0) },
  ];
  const { left, right, bottom, stands } = margins(x, y, width, barRoom - 2);
  const cellWide = (width - left - right) / Math.max(1, columns.names.length);
  const atMost = Math.max(LEAST_ROW, Math.min(MOST_ROW, cellWide, 400 / Math.max(1, rows.names.length)));
  const top = head.below + 2;
  const plot = { left, right: width - right, top, bottom: top + Math.max(110, atMost * rows.names.length) };
  const place = placing(plot, x.scale, y.scale);
  const cellTall = (plot.bottom - plot.top) / Math.max(1, rows.names.length);

  const cell = (row: number, column: number, look: string, inside = '') =>
    `<rect class="${look}" x="${px((place.x(column) ?? 0) - cellWide / 2)}" y="${px((place.y(row) ?? 0) - cellTall / 2)}" width="${px(cellWide)}" height="${px(cellTall)}">${inside}</rect>`;
  const cells = rows.names.flatMap((rowName, row) =>
    columns.names.map((columnName, column) => {
      const value = values[row]?.[column] ?? Number.NaN;
      const known = Number.isFinite(value);
      const text = `${rowName}, ${columnName}: ${known ? Number(value.toPrecision(4)) : 'none'}`;
      const hint = `<title>${escapeText(text)}</title>`;
      if (known) {
        return cell(row, column, `cut h${shade(value)}`, hint);
      }
      const [cx, cy] = [place.x(column) ?? 0, place.y(row) ?? 0];
      return `${cell(row, column, 'cut gap', hint)}<path class="line thin muted" d="M${px(cx - 4)} ${px(cy + 4)}l8 -8"/>`;
    }),
  );
  const rings = (chosen?.cells ?? []).map(({ row, column }) => cell(row, column, 'ring'));
  const shades: Shade[] = Array.from({ length: STEPS + 1 }, (_, i) => ({
    name: `h${i}`,
    light: mixed(STOPS[colours].light, i / STEPS),
    dark: mixed(STOPS[colours].dark, i / STEPS),
  }));
  return drawing(
    { width, height: plot.bottom + bottom },
    spec.title,
    [...axes(plot, x, y, stands, false), ...cells, ...rings, ...colourBar(spec.value, plot, bar), ...head.parts],
    shades,
  );
}

/** What the colours span: the data, or as far on both sides of the centre as the data goes on one. */
function spanOf(values: readonly number[], centre: number | undefined): [number, number] {
  const low = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  if (centre === undefined) {
    return high > low ? [low, high] : Number.isFinite(low) ? [low - 0.5, low + 0.5] : [0, 1];
  }
  const reach = values.length > 0 ? Math.max(Math.abs(low - centre), Math.abs(high - centre)) : 0;
  return [centre - (reach || 1), centre + (reach || 1)];
}

function colourBar(
  value: string,
  plot: { right: number; top: number; bottom: number },
  scale: ReturnType<typeof scaleOf>,
): string[] {
  const x = plot.right + 14;
  const tall = plot.bottom - plot.top;
  const step = tall / (STEPS + 1);
  const blocks = Array.from(
    { length: STEPS + 1 },
    (_, i) =>
      `<path class="h${i}" d="M${px(x)} ${px(plot.bottom - (i + 1) * step)}h${BAR}V${px(plot.bottom - i * step + (i > 0 ? 0.5 : 0))}h-${BAR}Z"/>`,
  );
  const ticks = scale.ticks.map(({ value: at, text }) =>
    label(x + BAR + 6, plot.bottom - (scale.share(at) ?? 0) * tall + 4, text),
  );
  const widest = Math.max(...scale.ticks.map(({ text }) => textWidth(text, 12)));
  const caption = value
    ? [label(x + BAR + widest + 22, (plot.top + plot.bottom) / 2, value, { anchor: 'middle', turned: -90 })]
    : [];
  return [...blocks, ...ticks, ...caption];
}
