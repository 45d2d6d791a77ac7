/** Charts over two axes as one SVG text: lines, steps, points, bars and bins, for light and dark pages. */
import { type Axis, scaleOf } from './axis.ts';
import { axes, type Entry, heading, LEVEL, margins, placing } from './frame.ts';
import { classOf, isDashed, marks, type Series } from './marks.ts';
import { label, px } from './text.ts';
import { drawing } from './theme.ts';

export type ChartSpec = {
  title: string;
  /** A line below the title. */
  note?: string;
  x: Axis;
  y: Axis;
  series: readonly Series[];
  /** Values on an axis of numbers that a thin dashed line marks. */
  rules?: readonly { along: 'x' | 'y'; at: number; name?: string }[];
  /** The point that was chosen: a ring around it, its name in the legend. */
  chosen?: { x: number; y: number; name: string };
  /** Bars of one place on top of each other instead of side by side. */
  stacked?: boolean;
  /** Pixels; a chart with names on its upright axis is as high as they ask unless told. */
  width?: number;
  height?: number;
};

const [WIDTH, HEIGHT] = [600, 360] as const;
const [ROW, SPARE] = [26, 40] as const;

/** Every value that the marks show along an axis. */
function valuesOf({ series, rules = [], chosen, stacked }: ChartSpec, along: 'x' | 'y', intervals: boolean): number[] {
  const sums = new Map<string, number>();
  const values = series.flatMap((s): number[] => {
    if (s.as === 'bins') {
      return [...(along === 'x' ? s.edges : s.counts)];
    }
    return s.points.flatMap((point) => {
      if (s.as !== 'bars' || !stacked || !intervals) {
        return [point[along], ...(intervals ? [point.low ?? point[along], point.high ?? point[along]] : [])];
      }
      const key = `${point[along === 'x' ? 'y' : 'x']} ${point[along] < 0}`;
      sums.set(key, (sums.get(key) ?? 0) + point[along]);
      return [sums.get(key) ?? 0];
    });
  });
  return [
    ...values,
    ...rules.filter((rule) => rule.along === along).map(({ at }) => at),
    ...(chosen ? [chosen[along]] : []),
  ];
}

function entries({ series, rules = [], chosen }: ChartSpec): Entry[] {
  const line = (x: number, y: number, look: string) => `<path class="line ${look}" d="M${px(x - 9)} ${px(y)}h18"/>`;
  return [
    ...series.flatMap((s, at): Entry[] => {
      if (s.name === undefined) {
        return [];
      }
      const name = classOf(s, at);
      const swatch = (x: number, y: number): string => {
        if (s.as === 'line' || s.as === 'step') {
          return line(x, y, `${name}${isDashed(s, at) ? ' dashed' : ''}`);
        }
        if (s.as === 'points') {
          return `<circle class="area ${name}" cx="${px(x)}" cy="${px(y)}" r="4"/>`;
        }
        return `<path class="area ${name}" d="M${px(x - 6)} ${px(y - 6)}h12v12h-12Z"/>`;
      };
      return [{ text: s.name, swatch }];
    }),
    ...rules.flatMap(({ name }): Entry[] =>
      name === undefined ? [] : [{ text: name, swatch: (x, y) => line(x, y, 'thin muted dashed') }],
    ),
    ...(chosen ? [{ text: chosen.name, swatch: (x: number, y: number) => ring(x, y) }] : []),
  ];
}

const ring = (x: number, y: number): string => `<circle class="ring" cx="${px(x)}" cy="${px(y)}" r="7"/>`;

/**
 * The chart as SVG. Values that are not finite, and those at or below zero on a logarithmic axis, leave gaps; a chart
 * without any value says "no data". Texts are escaped, ticks are round, and an axis without a range covers its data.
 */
export function chart(spec: ChartSpec): string {
  const { series, rules = [], chosen } = spec;
  const upright = !('names' in spec.y);
  const filled = series.some(({ as }) => as === 'bars' || as === 'bins');
  const width = spec.width ?? WIDTH;
  const head = heading(width, spec.title, spec.note, entries(spec));
  const rows = 'names' in spec.y ? Math.max(1, spec.y.names.length) * ROW : HEIGHT - 120;
  const usual = Math.max(head.below + rows + SPARE + 10, upright ? HEIGHT : 0);
  const scaled = (along: 'x' | 'y', count: number) => {
    const intervals = along === (upright ? 'y' : 'x');
    return {
      axis: spec[along],
      scale: scaleOf(spec[along], valuesOf(spec, along, intervals), count, filled && intervals),
    };
  };
  const [x, y] = [
    scaled('x', Math.max(3, width / 90)),
    scaled('y', Math.max(3, ((spec.height ?? usual) - head.below - SPARE) / 45)),
  ];
  const { left, right, bottom, stands } = margins(x, y, width);
  const height = spec.height ?? usual + stands.height - LEVEL;
  const plot = { left, right: width - right, top: head.below + 4, bottom: height - bottom };
  const place = placing(plot, x.scale, y.scale);

  const names = (upright ? x : y).scale.ticks.length;
  const barWidth = (0.8 * (upright ? plot.right - plot.left : plot.bottom - plot.top)) / Math.max(1, names);
  const ground = { place, upright, base: (upright ? y : x).scale.base };
  const drawn = marks(series, ground, barWidth, spec.stacked ?? false);
  for (const { along, at } of rules) {
    const where = place[along](at);
    if (where === null) {
      continue;
    }
    const d =
      along === 'x'
        ? `M${px(where)} ${px(plot.top)}V${px(plot.bottom)}`
        : `M${px(plot.left)} ${px(where)}H${px(plot.right)}`;
    drawn.unshift(`<path class="line thin muted dashed" d="${d}"/>`);
  }
  if (chosen) {
    const [cx, cy] = [place.x(chosen.x), place.y(chosen.y)];
    if (cx !== null && cy !== null) {
      drawn.push(ring(cx, cy));
    }
  }
  if (drawn.length === 0) {
    drawn.push(label((plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2, 'no data', { anchor: 'middle' }));
  }
  // A drawing within the drawing cuts off what lies outside a range that was asked for, and needs no identifier.
  const [cutLeft, cutTop, cutWide, cutHigh] = [
    plot.left - 9,
    plot.top - 9,
    plot.right - plot.left + 18,
    plot.bottom - plot.top + 18,
  ].map(px);
  const inner = `<svg x="${cutLeft}" y="${cutTop}" width="${cutWide}" height="${cutHigh}" viewBox="${cutLeft} ${cutTop} ${cutWide} ${cutHigh}">${drawn.join('')}</svg>`;
  return drawing({ width, height }, spec.title, [...axes(plot, x, y, stands), inner, ...head.parts]);
}
