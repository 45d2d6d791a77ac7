/** The picture of a recording: curves that keep their peaks and holes, shaded seconds, an overview and the worst minute. */
import { describe, expect, it } from 'vitest';
import { drawRecord, type PictureLead } from '../../../gpu-worker/ecg/picture.ts';

const flagged = new Set([3, 95]);
/** A lead of 0 mV with a spike of 1 mV at one sample of every second. */
const lead = (seconds: number, rate: number, more: Partial<PictureLead> = {}): PictureLead => ({
  name: 'a < b',
  seconds: Array.from({ length: seconds }, (_, s) => ({
    before: 180 <= s && s < 240 ? -5 : 10,
    after: 12,
    flags: flagged.has(s) ? ['lead_off' as const] : [],
  })),
  async samples(from, to) {
    const cleaned = Float64Array.from({ length: Math.min(to, seconds) * rate - from * rate }, (_, i) =>
      i % rate === Math.floor(rate / 3) ? 1 : 0,
    );
    return { noisy: cleaned, cleaned, rate };
  },
  ...more,
});
/** Heights in mm above the lowest point that the first curve of a colour goes through. */
function heights(svg: string, colour: string): number[] {
  const d = new RegExp(`d="([^"]*)" fill="none" stroke="${colour}"`).exec(svg)![1]!;
  let at = 0;
  const found = [...d.matchAll(/([Ml])-?\d+ (-?\d+)/g)].map(([, pen, y]) => {
    at = pen === 'M' ? Number(y) : at + Number(y);
    return at / 40;
  });
  const lowest = Math.max(...found);
  return found.map((y) => lowest - y);
}
const [CLEANED, NOISY] = ['#0b3d91', '#9aa0a6'];
const shades = (svg: string) => svg.match(/<title>lead_off<\/title>/g)?.length ?? 0;

describe('ten seconds', () => {
  it.each([100, 360, 2000])(
    'of %i Hz show every peak at 10 mm per mV, in no more points than pixels can show',
    async (rate) => {
      const svg = await drawRecord('strip', [lead(10, rate)]);
      const curve = heights(svg, CLEANED);
      expect(curve.filter((height) => height > 9.9)).toHaveLength(10);
      expect(Math.max(...curve)).toBeCloseTo(10, 1);
      expect(curve.length).toBeLessThanOrEqual(4010);
      expect(svg).not.toContain('NaN');
      expect(svg).toContain('a &lt; b');
      expect(shades(svg)).toBe(1);
    },
  );
  it.each([360, 2000])('of %i Hz break off where samples are missing', async (rate) => {
    const svg = await drawRecord('strip', [
      lead(10, rate, {
        async samples() {
          const cleaned = new Float64Array(10 * rate).fill(Number.NaN, 3 * rate, 4 * rate);
          return { noisy: cleaned, cleaned, rate };
        },
      }),
    ]);
    const d = new RegExp(`d="([^"]*)" fill="none" stroke="${NOISY}"`).exec(svg)![1]!;
    expect(d.match(/M/g)).toHaveLength(2);
    expect(d.match(/M\d+/g)![1]).toBe('M4100');
  });
  it('show the signal without noise where it is known, and say so', async () => {
    const clean = async () => new Float64Array(3600).fill(0.5);
    expect(await drawRecord('strip', [lead(10, 360, { clean })])).toContain('without noise');
    expect(await drawRecord('strip', [lead(10, 360)])).not.toContain('without noise');
  });
});

describe('longer recordings', () => {
  it('show an overview with every flagged second, and the worst minute in strips of ten seconds', async () => {
    const svg = await drawRecord('long', [lead(300, 50)]);
    expect(svg).toContain('worst minute, from 0:03:00');
    expect(shades(svg)).toBe(2);
    expect(svg.match(new RegExp(`fill="none" stroke="${CLEANED}"`, 'g'))).toHaveLength(6);
  });
});
