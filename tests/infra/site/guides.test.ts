/** Pages of the guides: every link leads somewhere, hostile text stays text. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { guideNames, guidePage } from '../../../infra/site/guides.ts';
import { repositoryRoot } from '../../support/guide.ts';

const pages = new Map(guideNames().map((name) => [name, guidePage(name)]));
const anchors = (html: string) => new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id));

it('link to pages and headings that there are, and to files of the repository', () => {
  const found: string[] = [];
  for (const [name, html] of pages) {
    for (const [, href = ''] of html.matchAll(/href="([^"]*)"/g)) {
      const [path = '', anchor] = href.split('#');
      const page = path === '/docs/' ? 'start' : path.startsWith('/docs/') ? path.slice('/docs/'.length) : null;
      const target = path === '' ? html : page !== null ? pages.get(page) : undefined;
      const file =
        page && existsSync(join(repositoryRoot, 'edge/site/docs', page.includes('.') ? page : `${page}.html`));
      const outside = /^https:\/\//.test(href);
      if (!outside && !(target && (anchor === undefined || anchors(target).has(anchor))) && !file) {
        found.push(`${name}: ${href}`);
      }
    }
  }
  expect(found).toEqual([]);
});

it('are what lies in the site, and have one heading of the first order each', () => {
  for (const [name, html] of pages) {
    const file = join(repositoryRoot, 'edge/site/docs', `${name === 'start' ? 'index' : name}.html`);
    expect(readFileSync(file, 'utf8')).toBe(html);
    expect(html.match(/<h1/g), name).toHaveLength(1);
    expect(html).toContain('aria-current="page"');
  }
});
