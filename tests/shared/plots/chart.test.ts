import { describe, expect, it } from 'vitest';
import { scaleOf, tickText } from '../../../shared/plots/axis.ts';
import { type ChartSpec, chart } from '../../../shared/plots/chart.ts';
import { escapeText, textWidth, wrapped } from '../../../shared/plots/text.ts';

const plain: ChartSpec = { title: 'A', x: { label: 'x' }, y: { label: 'y' }, series: [] };
const numbers = (svg: string, pattern: RegExp) => [...svg.matchAll(pattern)].map((match) => match.slice(1).map(Number));
/** Texts with their place: those that are not turned. */
const texts = (svg: string) =>
  [...svg.matchAll(/<text x="([\d.-]+)" y="([\d.-]+)"(?: text-anchor="(\w+)")?(?: class="(\w+)")?>([^<]*)</g)].map(
    ([, x, y, anchor, look, text = '']) => {
      const wide = textWidth(text, look === 'title' ? 15 : 12);
      const left = Number(x) - (anchor === 'end' ? wide : anchor === 'middle' ? wide / 2 : 0);
      return { text, left, right: left + wide, y: Number(y) };
    },
  );

describe('charts', () => {
  it('escape texts and stay finite for degenerate ranges', () => {
    expect(escapeText(`<a href="x">&'\u0000`)).toBe('&lt;a href=&quot;x&quot;&gt;&amp;&#39;');
    const points = [
      { x: 2, y: 0, low: Number.NaN, high: 1, title: '"<i>' },
      { x: 2, y: 0 },
      { x: Number.POSITIVE_INFINITY, y: Number.NaN },
    ];
    for (const as of ['line', 'step', 'points'] as const) {
      for (const scale of ['linear', 'log'] as const) {
        const svg = chart({
          ...plain,
          title: '<b>',
          x: { label: '<b>', scale },
          series: [{ as, name: '<i>', points }],
          chosen: { x: 2, y: 0, name: '<u>' },
        });
        expect(svg).not.toMatch(/NaN|Infinity|undefined|<b>|<i>|<u>/);
      }
    }
    expect(chart(plain)).toContain('no data');
  });

  it('have a viewBox, a title, colours for light and dark, and nothing that runs or points elsewhere', () => {
    const svg = chart(plain);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox="0 0 600 360"/);
    expect(svg).toContain('<title>A</title>');
    expect(svg).toContain('@media(prefers-color-scheme:dark)');
    expect(svg).not.toMatch(/<script|href|\bid=|url\(/);
  });

  it('put points where their values are', () => {
    const svg = chart({
      ...plain,
      x: { label: 'x', scale: 'log', range: [1, 100] },
      y: { label: 'y', range: [0, 4] },
      series: [{ as: 'points', points: [1, 10, 100].map((x, i) => ({ x, y: 2 * i })) }],
    });
    const dots = numbers(svg, /<circle class="area s0" cx="([\d.]+)" cy="([\d.]+)" r="4"/g);
    expect(dots).toHaveLength(3);
    const [a = [], b = [], c = []] = dots;
    expect((b[0] ?? 0) - (a[0] ?? 0)).toBeCloseTo((c[0] ?? 0) - (b[0] ?? 0), 0);
    expect((a[1] ?? 0) - (b[1] ?? 0)).toBeCloseTo((b[1] ?? 0) - (c[1] ?? 0), 0);
    expect(a[1]).toBeGreaterThan(c[1] ?? 0);
  });

  it('stack bars to their sum and hang negative ones below', () => {
    const bars = (stacked: boolean) =>
      numbers(
        chart({
          ...plain,
          x: { label: '', names: ['a', 'b'] },
          y: { label: '', range: [-2, 4] },
          stacked,
          series: [1, 2].map((y) => ({
            as: 'bars',
            points: [
              { x: 0, y },
              { x: 1, y: -y / 2 },
            ],
          })),
        }),
        /<rect class="area s\d" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g,
      ).map(([x = 0, y = 0, width = 0, height = 0]) => ({ x, y, width, height }));
    const [first, below, second, further] = bars(true);
    expect((second?.y ?? 0) + (second?.height ?? 0)).toBeCloseTo(first?.y ?? -1, 0);
    expect(second?.height).toBeCloseTo(2 * (first?.height ?? 0), 0);
    expect(further?.y).toBeCloseTo((below?.y ?? 0) + (below?.height ?? 0), 0);
    const [left, , right] = bars(false);
    expect((left?.x ?? 0) + (left?.width ?? 0)).toBeLessThanOrEqual(right?.x ?? 0);
  });

  it('keep titles, legends and names within the drawing, clear of each other and of the marks', () => {
    const many = Array.from({ length: 14 }, (_, i) => `series number ${i} of the sweep`);
    const title = 'A title that says at length what is drawn here, so that it needs more than a single line of it';
    const svg = chart({
      ...plain,
      title,
      note: 'a note',
      x: { label: 'x', names: ['one', 'two'] },
      series: many.map((name, i) => ({
        as: 'line',
        name,
        points: [
          { x: 0, y: i },
          { x: 1, y: 2 * i },
        ],
      })),
      chosen: { x: 1, y: 4, name: 'chosen: the best' },
    });
    const all = texts(svg);
    const top = Number(/<svg x="[\d.]+" y="([\d.]+)"/.exec(svg)?.[1]);
    for (const name of [...many, 'chosen: the best', 'a note']) {
      expect(all.find(({ text }) => text === name)?.y).toBeLessThan(top);
    }
    for (const { left, right } of all) {
      expect([left >= 0, right <= 600]).toEqual([true, true]);
    }
    for (const [i, a] of all.entries()) {
      for (const b of all.slice(i + 1)) {
        expect(Math.abs(a.y - b.y) >= 12 || a.right <= b.left || b.right <= a.left, `${a.text} | ${b.text}`).toBe(true);
      }
    }
  });

  it('turn names that do not fit and show every one', () => {
    const names = Array.from({ length: 9 }, (_, i) => `category ${i} by its name`);
    const svg = chart({ ...plain, x: { label: 'x', names }, series: [] });
    for (const name of names) {
      expect(svg).toMatch(new RegExp(`rotate\\(-45\\)"[^>]*>${name}<`));
    }
    expect(chart({ ...plain, x: { label: 'x', names: ['a', 'b'] }, series: [] })).not.toContain('rotate(-45)');
  });
});

describe('axes', () => {
  it('have round ticks and cover the data', () => {
    const { ticks, share } = scaleOf({ label: '' }, [0.1234, 0.8712], 5);
    expect(ticks.map(({ text }) => text)).toEqual(
      ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0'].map((t) => (t === '0.0' ? '0' : t)),
    );
    expect([share(0), share(1), share(Number.NaN)]).toEqual([0, 1, null]);
    expect(scaleOf({ label: '', scale: 'log' }, [1e-6, 1], 8).ticks.map(({ text }) => text)).toEqual([
      '1e-6',
      '1e-5',
      '0.0001',
      '0.001',
      '0.01',
      '0.1',
      '1',
    ]);
    expect(scaleOf({ label: '', scale: 'log' }, [-1, 0, 10, 60], 8).ticks.map(({ value }) => value)).toEqual([
      10, 20, 50,
    ]);
    expect(scaleOf({ label: '' }, [7, 7], 5).ticks.length).toBeGreaterThan(2);
    expect([tickText(2_500_000, 500_000), tickText(0.25, 0.05), tickText(-3e-6, 1e-6)]).toEqual([
      '2.5e6',
      '0.25',
      '-3e-6',
    ]);
  });

  it('break text at spaces and shorten what is too long for a line', () => {
    expect(wrapped('one two three', 12, textWidth('one two', 12))).toEqual(['one two', 'three']);
    expect(wrapped('incomprehensibilities', 12, 60)[0]).toMatch(/^incom\w*…$/);
  });
});
