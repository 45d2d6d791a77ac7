/** The marks of a chart: lines with bands, steps, points with intervals, bars and bins. */
import type { Place } from './frame.ts';
import { escapeText, px } from './text.ts';
import { SERIES_COLOURS, seriesClass } from './theme.ts';

/** A point; `low` and `high` are its interval, along the axis of numbers where the other one has names. */
type Point = { x: number; y: number; low?: number; high?: number; title?: string };

type Look = {
  /** Shown in the legend; a series without a name is not. */
  name?: string;
  /** Which colour, where not that of the series' place; series of the same thing share one. `muted` stands behind. */
  colour?: number | 'muted';
};
/** Bars stand on an axis of names. Intervals of lines and steps are drawn as a band, those of points and bars as whiskers. */
type PointSeries = Look & {
  as: 'line' | 'step' | 'points' | 'bars';
  points: readonly Point[];
  dashed?: boolean;
};
/** A histogram: `counts[i]` lie between `edges[i]` and `edges[i + 1]`. */
type BinSeries = Look & { as: 'bins'; edges: readonly number[]; counts: readonly number[] };
export type Series = PointSeries | BinSeries;

/** What marks need of the chart: where values lie, and what the two axes are. */
type Ground = { place: Place; upright: boolean; base: number };

export const classOf = (series: Series, at: number): string => seriesClass(series.colour ?? at);
export const isDashed = (series: Series, at: number): boolean =>
  ('dashed' in series && series.dashed === true) ||
  (typeof (series.colour ?? at) === 'number' && Number(series.colour ?? at) >= SERIES_COLOURS);

const titled = (title: string | undefined): string => (title ? `<title>${escapeText(title)}</title>` : '');

/** Runs of points that have a place: a value that is not finite leaves a gap. */
function runs(points: readonly Point[], { place }: Ground): { x: number; y: number; point: Point }[][] {
  const found: { x: number; y: number; point: Point }[][] = [[]];
  for (const point of points) {
    const [x, y] = [place.x(point.x), place.y(point.y)];
    if (x === null || y === null) {
      found.push([]);
    } else {
      found.at(-1)?.push({ x, y, point });
    }
  }
  return found.filter((run) => run.length > 0);
}

const path = (points: readonly { x: number; y: number }[], step: boolean): string =>
  points
    .map(({ x, y }, i) => (i === 0 ? `M${px(x)} ${px(y)}` : step ? `H${px(x)}V${px(y)}` : `L${px(x)} ${px(y)}`))
    .join('');

/** A step holds its value until the next point: its outline has a corner more between two points. */
const cornered = (points: readonly { x: number; y: number }[], step: boolean) =>
  step
    ? points.flatMap((point, i) => [...(i > 0 ? [{ x: point.x, y: points[i - 1]?.y ?? point.y }] : []), point])
    : points;

function lines(series: PointSeries, at: number, ground: Ground): string[] {
  const [name, step] = [classOf(series, at), series.as === 'step'];
  return runs(series.points, ground).flatMap((run) => {
    const ends = run.flatMap(({ x, point: { low, high } }) => {
      const [under, over] = [ground.place.y(low ?? Number.NaN), ground.place.y(high ?? Number.NaN)];
      return under === null || over === null ? [] : [{ x, under, over }];
    });
    const upper = cornered(
      ends.map(({ x, over }) => ({ x, y: over })),
      step,
    );
    const lower = cornered(
      ends.map(({ x, under }) => ({ x, y: under })),
      step,
    );
    const band =
      ends.length > 1
        ? [`<path class="area band ${name}" d="${path([...upper, ...[...lower].reverse()], false)}Z"/>`]
        : [];
    const [only] = run;
    if (run.length === 1 && only) {
      return [...band, `<circle class="area ${name}" cx="${px(only.x)}" cy="${px(only.y)}" r="3"/>`];
    }
    return [...band, `<path class="line ${name}${isDashed(series, at) ? ' dashed' : ''}" d="${path(run, step)}"/>`];
  });
}

/** The interval of a point as a line through it with short ends, across or upright. */
function whisker(x: number, y: number, { low, high }: Point, look: string, { place, upright }: Ground): string {
  const [from, to] = [low ?? Number.NaN, high ?? Number.NaN].map(upright ? place.y : place.x);
  if (from === null || to === null || from === undefined || to === undefined) {
    return '';
  }
  const d = upright
    ? `M${px(x)} ${px(from)}V${px(to)}M${px(x - 4)} ${px(from)}h8M${px(x - 4)} ${px(to)}h8`
    : `M${px(from)} ${px(y)}H${px(to)}M${px(from)} ${px(y - 4)}v8M${px(to)} ${px(y - 4)}v8`;
  return `<path class="line thin ${look}" d="${d}"/>`;
}

const dots = (series: PointSeries, at: number, ground: Ground): string[] =>
  runs(series.points, ground).flatMap((run) =>
    run.map(
      ({ x, y, point }) =>
        `${whisker(x, y, point, classOf(series, at), ground)}<circle class="area ${classOf(series, at)}" cx="${px(x)}" cy="${px(y)}" r="4">${titled(point.title)}</circle>`,
    ),
  );

const rect = (look: string, [x0, x1]: [number, number], [y0, y1]: [number, number], title?: string): string =>
  `<rect class="area ${look}" x="${px(Math.min(x0, x1))}" y="${px(Math.min(y0, y1))}" width="${px(Math.max(0.5, Math.abs(x1 - x0)))}" height="${px(Math.abs(y1 - y0))}">${titled(title)}</rect>`;

function bins(series: BinSeries, at: number, { place, base }: Ground): string[] {
  return series.counts.flatMap((count, i) => {
    const [from, to] = [place.x(series.edges[i] ?? Number.NaN), place.x(series.edges[i + 1] ?? Number.NaN)];
    const [top, bottom] = [place.y(count), place.y(base)];
    if (!count || from === null || to === null || top === null || bottom === null) {
      return [];
    }
    return [rect(classOf(series, at), [from, to - Math.min(1, (to - from) / 4)], [top, bottom], String(count))];
  });
}

/** Bars of every series, side by side or stacked (upwards and downwards apart), each on its name or number. */
function bars(
  list: readonly { series: PointSeries; at: number }[],
  ground: Ground,
  width: number,
  stacked: boolean,
): string[] {
  const { place, upright, base } = ground;
  const tops = new Map<string, number>();
  const thick = width / (stacked ? 1 : Math.max(1, list.length));
  return list.flatMap(({ series, at }, nth) =>
    series.points.flatMap((point) => {
      const [where, value] = upright ? [point.x, point.y] : [point.y, point.x];
      const key = `${where} ${value < 0}`;
      const from = stacked ? (tops.get(key) ?? 0) : base;
      const to = stacked ? from + value : value;
      const centre = (upright ? place.x : place.y)(where);
      const [low, high] = [from, to].map(upright ? place.y : place.x);
      if (centre === null || low === null || high === null || low === undefined || high === undefined) {
        return [];
      }
      tops.set(key, to);
      const start = centre - width / 2 + (stacked ? 0 : nth * thick);
      const across: [number, number] = [start, start + Math.max(1, thick - 1)];
      const bar = upright
        ? rect(classOf(series, at), across, [low, high], point.title)
        : rect(classOf(series, at), [low, high], across, point.title);
      const middle = (across[0] + across[1]) / 2;
      return stacked ? [bar] : [bar, whisker(upright ? middle : high, upright ? high : middle, point, 'muted', ground)];
    }),
  );
}

/** Every mark, in order: bars and bins lie below lines, lines below points. */
export function marks(all: readonly Series[], ground: Ground, barWidth: number, stacked: boolean): string[] {
  const each = all.map((series, at) => ({ series, at }));
  const ofKind = (...kinds: string[]) =>
    each.flatMap(({ series, at }) => (series.as !== 'bins' && kinds.includes(series.as) ? [{ series, at }] : []));
  return [
    ...each.flatMap(({ series, at }) => (series.as === 'bins' ? bins(series, at, ground) : [])),
    ...bars(ofKind('bars'), ground, barWidth, stacked),
    ...ofKind('line', 'step').flatMap(({ series, at }) => lines(series, at, ground)),
    ...ofKind('points').flatMap(({ series, at }) => dots(series, at, ground)),
  ];
}
