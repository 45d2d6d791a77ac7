/** The report of a study: one JSON document and its plots, as files. */
import { SextantError } from '../../shared/contracts/problem.ts';

export type StudyReport = {
  /** What it is a report of, such as `sae_evaluation`. */
  kind: string;
  body: Readonly<Record<string, unknown>>;
  /** Whole SVG documents without scripts or references (`shared/plots`); names without ending. */
  plots: readonly { name: string; svg: string }[];
  /** What else belongs to it, such as tables. */
  files?: readonly ReportFile[];
};
export type ReportFile = { name: string; mediaType: string; content: Uint8Array };

/**
 * `report.json` first, then the plots and the other files in their order.
 * @throws SextantError `not_finite` where JSON could not hold a number of the body, with a pointer to it
 */
export function reportFiles({ kind, body, plots, files = [] }: StudyReport): ReportFile[] {
  requireFiniteNumbers(body, 'the report');
  const encoder = new TextEncoder();
  const text = `${JSON.stringify({ schema: 1, kind, ...body }, null, 1)}\n`;
  return [
    { name: 'report.json', mediaType: 'application/json', content: encoder.encode(text) },
    ...plots.map(({ name, svg }) => ({
      name: `${name}.svg`,
      mediaType: 'image/svg+xml',
      content: encoder.encode(svg),
    })),
    ...files,
  ];
}

/**
 * JSON has no NaN and no infinity: `JSON.stringify` would write null, which a reader takes for "not measured".
 * @param of what the value is, for the message
 * @throws SextantError `not_finite` with a pointer to the number
 */
export function requireFiniteNumbers(value: unknown, of: string, pointer = ''): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new SextantError('not_finite', `${pointer} of ${of} is ${value}`);
  }
  if (typeof value !== 'object' || value === null) {
    return;
  }
  for (const [name, inner] of Object.entries(value)) {
    requireFiniteNumbers(inner, of, `${pointer}/${name}`);
  }
}
