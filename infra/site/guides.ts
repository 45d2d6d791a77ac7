/** The guides of `edge/guides` as plain pages: no script, one style sheet, a list of all of them beside each. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Marked } from 'marked';
import { escapeText } from '../../shared/plots/text.ts';

const GUIDES = join(import.meta.dirname, '../../edge/guides');
/** The order in which a newcomer reads them; others follow by name. */
const ORDER = ['start', 'jobs', 'models', 'features', 'steering', 'compression', 'circuits', 'fairness', 'ecg'];
const LAST = ['webhooks', 'recipes', 'usage', 'errors', 'limits', 'threat-model'];

const place = (name: string): number => {
  const at = ORDER.indexOf(name);
  return at >= 0 ? at : LAST.includes(name) ? 200 + LAST.indexOf(name) : 100;
};

/** Names of all guides, in reading order. */
export const guideNames = (): string[] =>
  readdirSync(GUIDES)
    .filter((file) => file.endsWith('.md'))
    .map((file) => file.slice(0, -'.md'.length))
    .sort((a, b) => place(a) - place(b) || a.localeCompare(b));

const textOf = (name: string): string => readFileSync(join(GUIDES, `${name}.md`), 'utf8');
const titleOf = (name: string): string => (textOf(name).split('\n')[0] ?? '').replace(/^# /, '');

/** The anchor of a heading: its words, joined by hyphens. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} -]/gu, '')
    .trim()
    .replaceAll(' ', '-');

/** Links between guides name Markdown files; pages are found without an ending. Other files of the folder stay as they are. */
const addressOf = (href: string): string => href.replace(/^([a-z-]+)\.md(?=#|$)/, '/docs/$1');

function rendered(markdown: string): string {
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${anchorOf(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        return `<a href="${escapeText(addressOf(href))}">${this.parser.parseInline(tokens)}</a>`;
      },
      // What looks like markup in a guide is text.
      html({ text }) {
        return escapeText(text);
      },
    },
  });
  return (marked.parse(markdown, { async: false }) as string)
    .replaceAll('<table>', '<div class="table"><table>')
    .replaceAll('</table>', '</table></div>');
}

/** The page of one guide. */
export function guidePage(name: string): string {
  const link = (other: string) =>
    `<li><a href="/docs/${other === 'start' ? '' : other}"${other === name ? ' aria-current="page"' : ''}>${escapeText(titleOf(other))}</a></li>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(titleOf(name))} · Sextant</title>
<link rel="stylesheet" href="/docs/guide.css">
</head>
<body>
<div class="page">
<nav aria-label="Guides">
<ul>
${guideNames().map(link).join('\n')}
<li><a href="/docs/contract">Contract</a></li>
</ul>
</nav>
<main>
${rendered(textOf(name))}</main>
</div>
</body>
</html>
`;
}
