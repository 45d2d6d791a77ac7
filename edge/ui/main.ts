/** The page: a key, then one view at a time. The key lies in this module's memory and nowhere else: reloading forgets it. */
import { Sextant } from '../client/index.ts';
import { fill, h } from './elements.ts';
import { keyForm } from './key-form.ts';
import { button, placeOf } from './parts.ts';
import { isUnknownKey, trouble } from './trouble.ts';
import type { View } from './view.ts';
import { deliveries } from './views/deliveries.ts';
import { ecg } from './views/ecg.ts';
import { fairness } from './views/fairness.ts';
import { features } from './views/features.ts';
import { job } from './views/job.ts';
import { jobs } from './views/jobs.ts';
import { reports } from './views/reports.ts';
import { run, runs } from './views/runs.ts';
import { vectors } from './views/vectors.ts';

/** By the first part of the address after `#`: the name in the menu, the view, and that of a single thing. */
const VIEWS: Readonly<Record<string, { name: string; all: View; one?: View }>> = {
  jobs: { name: 'Jobs', all: jobs, one: job },
  runs: { name: 'Runs', all: runs, one: run },
  deliveries: { name: 'Deliveries', all: deliveries },
  features: { name: 'Features', all: features },
  vectors: { name: 'Vectors', all: vectors },
  reports: { name: 'Reports', all: reports },
  fairness: { name: 'Fairness', all: fairness },
  ecg: { name: 'ECG', all: ecg },
};

const menu = h('nav', { 'aria-label': 'Views', hidden: true });
const main = h('main', { id: 'main' });
let client: Sextant | null = null;
let shown = new AbortController();

/** The parts of the address after `#`. */
const parts = (): string[] =>
  location.hash
    .replace(/^#\/?/, '')
    .split('/')
    .filter((part) => part !== '')
    .map(decoded);

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function enter(key: string): void {
  client = new Sextant({ url: location.origin, key, retries: 2 });
  void show();
}

/** Back to the form; whatever was shown goes. */
function forget(reason: string | null): void {
  client = null;
  shown.abort();
  menu.hidden = true;
  main.removeAttribute('aria-busy');
  document.title = 'Sextant';
  const form = keyForm(enter, reason);
  fill(main, form);
  form.querySelector('input')?.focus();
}

function showMenu(current: string): void {
  menu.hidden = false;
  const entries = Object.entries(VIEWS).map(([id, { name }]) =>
    h('li', {}, h('a', { href: placeOf(id), 'aria-current': id === current && 'page' }, name)),
  );
  fill(
    menu,
    h('ul', {}, ...entries),
    button('Forget key', () => forget(null), { class: 'plain' }),
  );
}

async function show(): Promise<void> {
  if (client === null) {
    forget(null);
    return;
  }
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const [name = 'jobs', ...ids] = parts();
  const entry = VIEWS[name] ?? VIEWS.jobs!;
  showMenu(name in VIEWS ? name : 'jobs');
  main.setAttribute('aria-busy', 'true');
  const fail = (error: unknown): void => {
    if (signal.aborted) {
      // another view stands by now, and what this one asked for was called off
      return;
    }
    if (isUnknownKey(error)) {
      forget(
        'The service does not accept this key: it was revoked, has expired, or was not copied whole. Enter another one.',
      );
    } else {
      fill(
        main,
        h('h1', { tabindex: -1 }, entry.name),
        trouble(error, () => void show()),
      );
    }
  };
  try {
    const view = ids.length > 0 && entry.one ? entry.one : entry.all;
    const content = await view({ client, signal, fail }, ...ids);
    if (signal.aborted) {
      return;
    }
    fill(main, content);
    main.querySelector('h1')?.focus({ preventScroll: true });
  } catch (error) {
    if (signal.aborted) {
      return;
    }
    fail(error);
  }
  main.removeAttribute('aria-busy');
  document.title = `${main.querySelector('h1')?.textContent?.slice(0, 100) ?? entry.name} · Sextant`;
}

/** The address after `#` belongs to the views, so the link that skips the menu moves the focus by itself. */
function toContent(event: Event): void {
  event.preventDefault();
  main.querySelector<HTMLElement>('h1, input')?.focus();
}

document.body.append(
  h(
    'a',
    {
      href: '#main',
      class: 'skip',
      click: toContent,
    },
    'Skip to the content',
  ),
  h('header', { class: 'top' }, h('span', { class: 'brand' }, 'Sextant'), menu),
  main,
);
addEventListener('hashchange', () => void show());
void show();
