/** A study's report as one HTML page without scripts, for readers who did not run it. */
import { escapeText } from '../../shared/plots/text.ts';
import type { ReportFile } from './report.ts';

type PageTable = { columns: readonly string[]; rows: readonly (readonly (string | number | null)[])[] };
type PageSection = {
  heading: string;
  text: readonly string[];
  table?: PageTable;
  /** Whole SVG documents. */
  drawings?: readonly string[];
};

const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;display:block;overflow-x:auto;font-variant-numeric:tabular-nums}th,td{padding:.2rem .7rem;border-bottom:1px solid #8884;text-align:left;vertical-align:top}
svg{max-width:100%;height:auto}h2{margin-top:2.2rem}`;

/** `report.html`. Every text is escaped. */
export function reportPage(title: string, lead: string, sections: readonly PageSection[]): ReportFile {
  const paragraph = (text: string) => `<p>${escapeText(text)}</p>`;
  const html = [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>${escapeText(title)}</title><style>${STYLE}</style></head><body><h1>${escapeText(title)}</h1>`,
    paragraph(lead),
    ...sections.flatMap(({ heading, text, table, drawings = [] }) => [
      `<h2>${escapeText(heading)}</h2>`,
      ...text.map(paragraph),
      ...(table ? [tableOf(table)] : []),
      ...drawings.map((svg) => `<figure>${svg}</figure>`),
    ]),
    '</body></html>\n',
  ].join('\n');
  return { name: 'report.html', mediaType: 'text/html', content: new TextEncoder().encode(html) };
}

function tableOf({ columns, rows }: PageTable): string {
  const cell = (value: string | number | null) =>
    escapeText(value === null ? '–' : typeof value === 'number' ? figure(value) : value);
  const line = (cells: readonly (string | number | null)[], tag: 'th' | 'td') =>
    `<tr>${cells.map((value) => `<${tag}>${cell(value)}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${line(columns, 'th')}</thead><tbody>${rows.map((row) => line(row, 'td')).join('')}</tbody></table>`;
}

/** A number as a reader takes it in: whole, or with three digits. */
export const figure = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : Number(value.toPrecision(3)).toString();
