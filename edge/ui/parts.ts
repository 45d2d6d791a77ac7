/** What every view is made of: links to other views, badges, tables, sections, boxes that say what to do next. */
import { type Child, h } from './elements.ts';
import { short } from './words.ts';

/** Where a view is found: the part of the address after `#`, which is never sent anywhere. */
export const placeOf = (...parts: readonly string[]): string => `#/${parts.map(encodeURIComponent).join('/')}`;

export const link = (text: Child, ...parts: string[]): HTMLAnchorElement => h('a', { href: placeOf(...parts) }, text);

/** An id in full for who points at it, and short to read. */
export const idLink = (id: string, view: string): HTMLAnchorElement =>
  h('a', { href: placeOf(view, id), class: 'id', title: id }, short(id));

export const badge = (status: string): HTMLSpanElement =>
  h('span', { class: `badge ${/^[a-z]+$/.test(status) ? status : ''}` }, status);

export const button = (text: string, press: () => void, attributes: Record<string, string> = {}): HTMLButtonElement =>
  h('button', { type: 'button', click: press, ...attributes }, text);

/** Headers by column; columns whose name begins with # hold numbers. */
export function table(caption: string, columns: readonly string[], rows: readonly Child[][]): HTMLDivElement {
  const numeric = columns.map((name) => name.startsWith('#'));
  const kind = (i: number) => (numeric[i] ? 'number' : null);
  return h(
    'div',
    { class: 'table', tabindex: 0, role: 'group', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, caption),
      h(
        'thead',
        {},
        h('tr', {}, ...columns.map((name, i) => h('th', { scope: 'col', class: kind(i) }, name.replace(/^#/, '')))),
      ),
      h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map((cell, i) => h('td', { class: kind(i) }, cell))))),
    ),
  );
}

export const section = (title: string, ...children: Child[]): HTMLElement =>
  h('section', { 'aria-label': title }, h('h2', {}, title), ...children);

/** Names and what they stand for. */
export const facts = (pairs: readonly (readonly [string, Child])[]): HTMLDListElement =>
  h('dl', { class: 'facts' }, ...pairs.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));

/** Says that there is nothing, and what to do about it. */
export const empty = (what: string, ...next: Child[]): HTMLDivElement =>
  h('div', { class: 'box' }, h('p', { class: 'strong' }, what), ...next);

export const commandLine = (text: string): HTMLPreElement => h('pre', { tabindex: 0 }, h('code', {}, text));

/** A heading that the eye and the focus go to first. */
export const heading = (title: Child, ...beside: Child[]): HTMLElement =>
  h('header', { class: 'heading' }, h('h1', { tabindex: -1 }, title), ...beside);
