/** Graphs whose nodes lie in layers, from the bottom up, as one SVG text for light and dark pages. */
import { type Entry, heading } from './frame.ts';
import { escapeText, label, px, shortened, textWidth } from './text.ts';
import { drawing, seriesClass } from './theme.ts';

export type GraphEdge = {
  /** Names of nodes. */
  from: string;
  to: string;
  /** Its size is the line's thickness. */
  weight: number;
  /** Number of the entry in `looks`. */
  look: number;
  title?: string;
};
type LayeredGraphSpec = {
  title: string;
  note?: string;
  /** From the bottom up: what a layer is called, and its nodes from left to right. */
  layers: readonly { name: string; nodes: readonly string[] }[];
  edges: readonly GraphEdge[];
  /** Kinds of edge, each with its colour; dashed ones are what is not there any more. */
  looks: readonly { name: string; dashed?: boolean }[];
  width?: number;
};

const [WIDTH, ROW, BOX, EDGE, FONT, NAMES] = [600, 62, 22, 12, 12, 46] as const;
const [THIN, THICK] = [0.6, 6] as const;
/** How far an edge between nodes above each other swings out, for each layer that it passes, and at most of the width. */
const [SWING, MOST_SWING] = [24, 0.4] as const;

/** The graph as SVG; every edge has its weight as a tooltip. Edges to nodes that are not there are left out. */
export function layeredGraph({ title, note, layers, edges, looks, width = WIDTH }: LayeredGraphSpec): string {
  const swatch = (look: number) => (x: number, y: number) =>
    `<path class="line ${seriesClass(look)}${looks[look]?.dashed ? ' dashed' : ''}" d="M${px(x - 9)} ${px(y)}h18"/>`;
  const legend: Entry[] = looks.map(({ name }, look) => ({ text: name, swatch: swatch(look) }));
  const { parts, below } = heading(width, title, note, legend);
  const height = below + layers.length * ROW + EDGE;
  const places = new Map<string, { x: number; y: number; wide: number }>();
  for (const [row, { nodes }] of layers.entries()) {
    const y = height - EDGE - (row + 0.5) * ROW;
    const room = (width - 2 * EDGE - NAMES) / Math.max(1, nodes.length);
    for (const [i, name] of nodes.entries()) {
      const wide = Math.min(room - 4, textWidth(name, FONT) + 12);
      places.set(name, { x: EDGE + NAMES + (i + 0.5) * room, y, wide });
    }
  }
  const largest = edges.reduce((most, { weight }) => Math.max(most, Math.abs(weight)), 0);
  // Thin lines lie above thick ones, so that none is hidden.
  const lines = [...edges]
    .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))
    .flatMap(({ from, to, weight, look, title: text }) => {
      const [start, end] = [places.get(from), places.get(to)];
      if (!start || !end) {
        return [];
      }
      const thick = largest > 0 ? THIN + (THICK - THIN) * (Math.abs(weight) / largest) : THIN;
      const [y0, y1] = [start.y - BOX / 2, end.y + BOX / 2];
      const bend = (y0 - y1) / 2;
      const passed = Math.max(0, Math.round((start.y - end.y) / ROW) - 1);
      const swing = Math.abs(start.x - end.x) < BOX ? Math.min(MOST_SWING * width, SWING * passed) : 0;
      return [
        `<path class="line ${seriesClass(look)}${looks[look]?.dashed ? ' dashed' : ''}" style="stroke-width:${px(thick)};stroke-opacity:.7" d="M${px(start.x)} ${px(y0)}C${px(start.x + swing)} ${px(y0 - bend)} ${px(end.x + swing)} ${px(y1 + bend)} ${px(end.x)} ${px(y1)}"><title>${escapeText(text ?? `${from} → ${to}: ${weight}`)}</title></path>`,
      ];
    });
  const boxes = [...places].map(
    ([name, { x, y, wide }]) =>
      `<rect class="gap" x="${px(x - wide / 2)}" y="${px(y - BOX / 2)}" width="${px(wide)}" height="${BOX}" rx="4"/>` +
      label(x, y + 4, shortened(name, FONT, wide - 4), { anchor: 'middle' }),
  );
  const names = layers.map(({ name }, row) => label(EDGE, height - EDGE - (row + 0.5) * ROW + 4, name));
  return drawing({ width, height }, title, [...parts, ...lines, ...boxes, ...names]);
}
