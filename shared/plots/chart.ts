/** Just enough SVG for audit reports: axes, lines, bars and a legend, with every text escaped. */

/** Text that may stand between tags and in attributes. */
export const escapeText = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

/** Colours that stay apart for most kinds of colour vision (Okabe and Ito 2008). */
export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#444444'] as const;
export const colour = (i: number): string => COLOURS[i % COLOURS.length]!;

export type Frame = {
  title: string;
  x: string;
  y: string;
  width: number;
  height: number;
  xRange: [number, number];
  yRange: [number, number];
};
const MARGIN = { left: 58, right: 16, top: 34, bottom: 44 };
const shown = (value: number): string => String(Number(value.toPrecision(3)));

/** A chart under construction; `x` and `y` turn data into pixels. */
export class Chart {
  private readonly parts: string[] = [];
  private readonly frame: Frame;
  private legends = 0;

  constructor(frame: Frame) {
    const widen = ([low, high]: [number, number]): [number, number] =>
      high > low ? [low, high] : [low - 0.5, high + 0.5];
    this.frame = { ...frame, xRange: widen(frame.xRange), yRange: widen(frame.yRange) };
  }
  x(value: number): number {
    const {
      width,
      xRange: [low, high],
    } = this.frame;
    return MARGIN.left + ((value - low) / (high - low)) * (width - MARGIN.left - MARGIN.right);
  }
  y(value: number): number {
    const {
      height,
      yRange: [low, high],
    } = this.frame;
    return height - MARGIN.bottom - ((value - low) / (high - low)) * (height - MARGIN.top - MARGIN.bottom);
  }
  line(points: readonly (readonly [number, number])[], stroke: string, { dashed = false } = {}): this {
    const path = points.map(([x, y]) => `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`).join(' ');
    this.parts.push(
      `<polyline points="${path}" fill="none" stroke="${stroke}" stroke-width="1.8"${dashed ? ' stroke-dasharray="5 4"' : ''}/>`,
    );
    return this;
  }
  dot(x: number, y: number, fill: string, label?: string): this {
    const title = label === undefined ? '' : `<title>${escapeText(label)}</title>`;
    this.parts.push(
      `<circle cx="${this.x(x).toFixed(1)}" cy="${this.y(y).toFixed(1)}" r="3.4" fill="${fill}">${title}</circle>`,
    );
    return this;
  }
  /** An interval with its estimate, drawn horizontally at height `at` (in data). */
  interval(low: number, estimate: number, high: number, at: number, stroke: string): this {
    const y = this.y(at).toFixed(1);
    this.parts.push(
      `<line x1="${this.x(low).toFixed(1)}" x2="${this.x(high).toFixed(1)}" y1="${y}" y2="${y}" stroke="${stroke}" stroke-width="2"/>`,
    );
    return this.dot(estimate, at, stroke);
  }
  label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end' = 'start'): this {
    this.parts.push(
      `<text x="${this.x(x).toFixed(1)}" y="${(this.y(y) - 5).toFixed(1)}" text-anchor="${anchor}">${escapeText(text)}</text>`,
    );
    return this;
  }
  legend(text: string, stroke: string, { dashed = false } = {}): this {
    const y = MARGIN.top + 6 + 16 * this.legends++;
    const x = this.frame.width - MARGIN.right - 150;
    this.parts.push(
      `<line x1="${x}" x2="${x + 18}" y1="${y}" y2="${y}" stroke="${stroke}" stroke-width="2"${dashed ? ' stroke-dasharray="5 4"' : ''}/><text x="${x + 24}" y="${y + 4}">${escapeText(text.slice(0, 40))}</text>`,
    );
    return this;
  }
  svg(): string {
    const { title, x, y, width, height, xRange, yRange } = this.frame;
    const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
    const ticks = [0, 0.25, 0.5, 0.75, 1];
    const at = ([low, high]: [number, number], share: number): number => low + share * (high - low);
    const grid = ticks
      .map((t) => {
        const [px, py] = [this.x(at(xRange, t)).toFixed(1), this.y(at(yRange, t)).toFixed(1)];
        return `<line x1="${px}" x2="${px}" y1="${top}" y2="${bottom}" stroke="#e6e6e6"/><line x1="${left}" x2="${right}" y1="${py}" y2="${py}" stroke="#e6e6e6"/><text x="${px}" y="${bottom + 16}" text-anchor="middle">${shown(at(xRange, t))}</text><text x="${left - 6}" y="${Number(py) + 4}" text-anchor="end">${shown(at(yRange, t))}</text>`;
      })
      .join('');
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="#222"><title>${escapeText(title)}</title><rect width="100%" height="100%" fill="#fff"/><text x="${left}" y="20" font-size="14" font-weight="600">${escapeText(title)}</text>${grid}<text x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">${escapeText(x)}</text><text transform="translate(13 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeText(y)}</text>${this.parts.join('')}</svg>\n`;
  }
}
