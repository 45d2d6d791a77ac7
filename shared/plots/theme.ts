/** Colours for light and dark pages: marks carry classes, one style sheet in the drawing colours them. */

import { escapeText } from './text.ts';

/** Series colours on white that stay apart for most kinds of colour vision (Okabe and Ito 2008), and lighter ones for dark pages. */
const SERIES = [
  ['#0072b2', '#4fb0ee'],
  ['#d55e00', '#ff8f45'],
  ['#009e73', '#35cfa3'],
  ['#b5578c', '#ec9fca'],
  ['#b87d00', '#f2bc3d'],
  ['#3a96cf', '#a5dbff'],
  ['#5b5b5b', '#c4c4c4'],
] as const;

/** Colours of the marks that are no series: page, text, grid, muted marks, the ring of the chosen point. */
const INK = {
  page: ['#ffffff', '#11151a'],
  text: ['#1f2328', '#e6e8eb'],
  grid: ['#e4e7ea', '#2b323a'],
  muted: ['#8a9199', '#7f8891'],
  ring: ['#1f2328', '#ffffff'],
} as const;

/** How many colours series have before they repeat; repeated ones are drawn in dashes. */
export const SERIES_COLOURS = SERIES.length;

/** Class of a series' colour: `s0` to `s6`, or `muted` for what stands behind the others. */
export const seriesClass = (colour: number | 'muted'): string =>
  colour === 'muted' ? 'muted' : `s${colour % SERIES_COLOURS}`;

const rules = (mode: 0 | 1): string =>
  [
    `.page{fill:${INK.page[mode]}}text{fill:${INK.text[mode]}}`,
    `.grid{stroke:${INK.grid[mode]}}.axis{stroke:${INK.muted[mode]}}.gap{fill:${INK.grid[mode]}}`,
    `.ring{stroke:${INK.ring[mode]}}.cut{stroke:${INK.page[mode]}}`,
    ...[...SERIES.map((pair, i) => [`s${i}`, pair[mode]] as const), ['muted', INK.muted[mode]] as const].map(
      ([name, colour]) => `.line.${name}{stroke:${colour}}.area.${name}{fill:${colour}}`,
    ),
  ].join('');

const SHAPES = [
  'text{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}',
  '.title{font-size:15px;font-weight:600}',
  '.line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:6 4}.thin{stroke-width:1.5}',
  '.band{fill-opacity:.18}.ring{fill:none;stroke-width:2}.cut{stroke-width:1}',
].join('');

/** A colour by class in both modes. */
export type Shade = { name: string; light: string; dark: string };

/** A whole drawing: a title for screen readers, the style sheet for both modes, the page, the parts. */
export function drawing(
  size: { width: number; height: number },
  title: string,
  parts: readonly string[],
  shades: readonly Shade[] = [],
): string {
  const [width, height] = [Math.ceil(size.width), Math.ceil(size.height)];
  const fills = (mode: 'light' | 'dark') => shades.map((shade) => `.${shade.name}{fill:${shade[mode]}}`).join('');
  const style = `${SHAPES}${rules(0)}${fills('light')}@media(prefers-color-scheme:dark){${rules(1)}${fills('dark')}}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"><title>${escapeText(title)}</title><style>${style}</style><path class="page" d="M0 0H${width}V${height}H0Z"/>${parts.join('')}</svg>\n`;
}
