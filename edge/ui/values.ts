/** Any JSON value, laid out to be read: scalars as words, equal records as a table, the rest folded. */
import { type Child, h } from './elements.ts';
import { facts, idLink, table } from './parts.ts';
import { figure } from './words.ts';

type Json = unknown;
/** Ids of things that have a view. */
const VIEWS: Readonly<Record<string, string>> = {
  job: 'jobs',
  run: 'runs',
  vec: 'vectors',
  sae: 'features',
  rep: 'reports',
  prd: 'fairness',
};
/** Longer texts are folded. */
const LONG = 600;
const MOST_ROWS = 200;
/** What holds no more than this stands open. */
const OPEN_ENTRIES = 12;

const isRecord = (value: Json): value is Record<string, Json> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isScalar = (value: Json): boolean => typeof value !== 'object' || value === null;

function scalar(value: Json): Child {
  if (typeof value === 'number') {
    return h('span', { title: String(value) }, figure(value));
  }
  if (typeof value !== 'string') {
    return value === null ? '–' : String(value);
  }
  const view = VIEWS[/^([a-z]{3})_[a-z2-7]{26}(?:[a-z2-7]{26})?$/.exec(value)?.[1] ?? ''];
  if (view) {
    return idLink(value, view);
  }
  return value.length > LONG
    ? h(
        'details',
        {},
        h('summary', {}, h('bdi', {}, `${value.slice(0, 80)}…`), ` ${figure(value.length)} characters`),
        h('bdi', { class: 'long', tabindex: 0 }, value),
      )
    : h('bdi', {}, value);
}

/** @param name says what the value is, for tables */
export function laidOut(value: Json, name: string): Child {
  if (isScalar(value)) {
    return scalar(value);
  }
  if (Array.isArray(value)) {
    return list(value, name);
  }
  const entries = Object.entries(value as Record<string, Json>);
  if (entries.length === 0) {
    return '–';
  }
  const [plain, nested] = [entries.filter(([, v]) => isScalar(v)), entries.filter(([, v]) => !isScalar(v))];
  return h(
    'div',
    {},
    plain.length > 0 && facts(plain.map(([key, v]) => [key, scalar(v)])),
    ...nested.map(([key, v]) => fold(key, v)),
  );
}

/** What is long is laid out when it is opened. */
function fold(key: string, value: Json): HTMLDetailsElement {
  const size = Array.isArray(value) ? value.length : Object.keys(value as object).length;
  const details = h(
    'details',
    {},
    h('summary', {}, h('bdi', {}, key), h('span', { class: 'quiet' }, ` ${figure(size)}`)),
  );
  const body = h('div');
  details.append(body);
  const show = () => body.childNodes.length === 0 && body.append(...[laidOut(value, key)].filter(isThere));
  details.addEventListener('toggle', () => details.open && show());
  if (size <= OPEN_ENTRIES) {
    show();
    details.open = true;
  }
  return details;
}
const isThere = (child: Child): child is Node | string => child instanceof Node || typeof child === 'string';

function list(values: readonly Json[], name: string): Child {
  if (values.length === 0) {
    return '–';
  }
  const shown = values.slice(0, MOST_ROWS);
  const rest = values.length - shown.length;
  const more = rest > 0 && h('p', { class: 'quiet' }, `and ${figure(rest)} more`);
  if (shown.every(isScalar)) {
    return h(
      'div',
      {},
      h('p', { class: 'run' }, ...shown.flatMap((value, i) => [i > 0 ? ', ' : null, scalar(value)])),
      more,
    );
  }
  if (shown.every((value) => isRecord(value) && Object.values(value).every(isScalar))) {
    const rows = shown as Record<string, Json>[];
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const numeric = (column: string) => rows.every((row) => typeof (row[column] ?? 0) === 'number');
    return h(
      'div',
      {},
      table(
        name,
        columns.map((column) => (numeric(column) ? `#${column}` : column)),
        rows.map((row) => columns.map((column) => scalar(row[column] ?? null))),
      ),
      more,
    );
  }
  return h(
    'div',
    {},
    ...shown.map((value, i) => (isScalar(value) ? h('p', {}, scalar(value)) : fold(`${name} ${i}`, value))),
    more,
  );
}
