import { describe, expect, it } from 'vitest';
import { type HeatMapSpec, heatMap } from '../../../shared/plots/heat-map.ts';

const spec: HeatMapSpec = {
  title: '<heads>',
  columns: { label: 'head', names: ['0', '1', '2'] },
  rows: { label: 'layer', names: ['0', '1'] },
  values: [
    [-1, 0, 0.5],
    [null, Number.NaN, 4],
  ],
  value: 'effect',
};
/** Class of the cell with a tooltip. */
const cell = (svg: string, name: string) => new RegExp(`<rect class="([^"]*)"[^>]*><title>${name}: `).exec(svg)?.[1];

describe('heat maps', () => {
  it('diverge equally far on both sides of the centre', () => {
    const svg = heatMap(spec);
    expect(cell(svg, '0, 1')).toBe('cut h20');
    expect(cell(svg, '1, 2')).toBe('cut h40');
    expect(cell(svg, '0, 0')).toBe('cut h15');
    expect(cell(heatMap({ ...spec, centre: 1.5 }), '0, 0')).toBe('cut h0');
  });

  it('run from low to high where they are sequential, and keep to a range that is given', () => {
    const svg = heatMap({ ...spec, colours: 'sequential' });
    expect([cell(svg, '0, 0'), cell(svg, '1, 2')]).toEqual(['cut h0', 'cut h40']);
    const fixed = heatMap({ ...spec, colours: 'sequential', range: [0, 1] });
    expect(['0, 0', '0, 2', '1, 2'].map((name) => cell(fixed, name))).toEqual(['cut h0', 'cut h20', 'cut h40']);
  });

  it('show absent values as such, mark chosen cells, and stay finite and escaped', () => {
    const svg = heatMap({ ...spec, chosen: { cells: [{ row: 1, column: 2 }], name: 'in <it>' } });
    expect([cell(svg, '1, 0'), cell(svg, '1, 1')]).toEqual(['cut gap', 'cut gap']);
    expect(svg.match(/<rect class="ring"/g)).toHaveLength(1);
    expect(svg).toContain('in &lt;it&gt;');
    expect(svg.replaceAll('&lt;heads&gt;', '')).not.toMatch(/NaN|Infinity|undefined|heads/);
    for (const values of [
      [],
      [[1, 1, 1]],
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
    ]) {
      expect(heatMap({ ...spec, values })).not.toMatch(/NaN|Infinity|undefined/);
    }
    expect(heatMap({ ...spec, rows: { label: '', names: [] }, values: [] })).not.toMatch(/NaN|Infinity|undefined/);
  });
});
