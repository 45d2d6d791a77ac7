/** A line chart of a few series over one axis, with its ends in words for who does not see it. */
import { h, s } from './elements.ts';
import { figure } from './words.ts';

type Series = { name: string; points: readonly (readonly [x: number, y: number])[] };
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [420, 150, 52, 10, 10, 22];

const span = (values: readonly number[]): [number, number] => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = low === high ? Math.abs(low) * 0.1 || 1 : 0;
  return [low - margin, high + margin];
};

export function lineChart(title: string, series: readonly Series[], xName: string): HTMLElement {
  const drawn = series.map(({ name, points }) => ({ name, points: points.filter(([x, y]) => Number.isFinite(x + y)) }));
  const all = drawn.flatMap(({ points }) => points);
  if (all.length === 0) {
    return h('p', { class: 'quiet' }, `${title}: nothing yet`);
  }
  const [left, right] = span(all.map(([x]) => x));
  const [low, high] = span(all.map(([, y]) => y));
  const across = (x: number) => LEFT + ((x - left) / (right - left)) * (WIDTH - LEFT - RIGHT);
  const down = (y: number) => HEIGHT - BOTTOM - ((y - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const words = drawn
    .map(({ name, points }) => `${name} from ${figure(points[0]?.[1])} to ${figure(points.at(-1)?.[1])}`)
    .join('; ');
  const label = (x: number, y: number, text: string, anchor: string) =>
    s('text', { x, y, 'text-anchor': anchor, class: 'tick' }, text);
  const svg = s(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}: ${words}`, class: 'chart' },
    ...[low, (low + high) / 2, high].flatMap((y) => [
      s('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: down(y), y2: down(y), class: 'grid' }),
      label(LEFT - 6, down(y) + 4, figure(y), 'end'),
    ]),
    label(LEFT, HEIGHT - 6, figure(left), 'start'),
    label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, xName, 'middle'),
    label(WIDTH - RIGHT, HEIGHT - 6, figure(right), 'end'),
    ...drawn.map(({ points }, i) =>
      points.length === 1
        ? s('circle', { cx: across(points[0]![0]), cy: down(points[0]![1]), r: 3, class: `dot series${i % 4}` })
        : s('polyline', {
            points: points.map(([x, y]) => `${across(x).toFixed(1)},${down(y).toFixed(1)}`).join(' '),
            class: `line series${i % 4}`,
          }),
    ),
  );
  const key =
    drawn.length > 1 &&
    h('p', { class: 'key' }, ...drawn.map(({ name }, i) => h('span', { class: `swatch series${i % 4}` }, name)));
  return h('figure', {}, h('figcaption', {}, title), svg, key);
}
