/** The density histogram as an SVG of its own, without scripts or references. */

const [WIDTH, HEIGHT, MARGIN] = [480, 240, 36];

/** Bars over log10 of the share of tokens on which a latent fires; latents that never fire are named below. */
export function densitySvg(title: string, histogram: { edges: number[]; counts: number[]; dead: number }): string {
  const { edges, counts, dead } = histogram;
  const most = Math.max(1, ...counts);
  const step = (WIDTH - 2 * MARGIN) / counts.length;
  const height = (count: number) => ((HEIGHT - 2 * MARGIN) * count) / most;
  const bars = counts.map((count, i) => {
    const [x, h] = [MARGIN + i * step, height(count)];
    return `<rect x="${x.toFixed(1)}" y="${(HEIGHT - MARGIN - h).toFixed(1)}" width="${(step - 1).toFixed(1)}" height="${h.toFixed(1)}" fill="#4477aa"/>`;
  });
  const ticks = edges
    .map((edge, i) => ({ edge, x: MARGIN + i * step }))
    .filter(({ edge }) => Number.isInteger(edge))
    .map(
      ({ edge, x }) => `<text x="${x.toFixed(1)}" y="${HEIGHT - MARGIN + 14}" text-anchor="middle">1e${edge}</text>`,
    );
  const safe = title.replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="10">`,
    `<text x="${WIDTH / 2}" y="16" text-anchor="middle" font-size="12">${safe}</text>`,
    `<text x="4" y="${MARGIN}">${most}</text>`,
    ...bars,
    ...ticks,
    `<text x="${WIDTH / 2}" y="${HEIGHT - 4}" text-anchor="middle">share of tokens on which a latent fires; ${dead} never</text>`,
    '</svg>',
    '',
  ].join('\n');
}
