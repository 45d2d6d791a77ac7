/** The newest jobs, kept current. */
import type { JobSummary } from '../../client/index.ts';
import { fill, h } from '../elements.ts';
import { badge, button, commandLine, empty, heading, idLink, table } from '../parts.ts';
import { keepCurrent, type Place } from '../view.ts';
import { duration, figure, when } from '../words.ts';

const STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled'] as const;
const PAGE = 50;

export async function jobs(place: Place): Promise<Node> {
  const { client, signal } = place;
  const status = h(
    'select',
    { id: 'status' },
    h('option', { value: '' }, 'all'),
    ...STATUSES.map((name) => h('option', {}, name)),
  );
  const list = h('div');
  const read = () => {
    const chosen = STATUSES.find((name) => name === status.value);
    return client.jobs.list({ limit: PAGE, signal, ...(chosen ? { status: chosen } : {}) });
  };
  let older: JobSummary[] = [];
  const show = (page: { data: JobSummary[]; next_cursor: string | null }): void => {
    const more = async (): Promise<void> => {
      try {
        const next = await client.jobs.list({ limit: PAGE, signal, cursor: page.next_cursor! });
        older = [...older, ...next.data];
        show({ data: page.data, next_cursor: next.next_cursor });
      } catch (error) {
        place.fail(error);
      }
    };
    const seen = new Set(page.data.map(({ id }) => id));
    const all = [...page.data, ...older.filter(({ id }) => !seen.has(id))];
    const focused = document.activeElement?.getAttribute('href');
    fill(
      list,
      all.length === 0 ? nothing(status.value) : jobTable(all),
      page.next_cursor !== null && button('Older jobs', () => void more()),
    );
    if (focused) {
      list.querySelector<HTMLElement>(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
  };
  const first = await read();
  show(first);
  status.addEventListener('change', () => {
    older = [];
    read().then(show, place.fail);
  });
  // a list that was gone back in stands still: its newest page would move under the reader
  void keepCurrent(place, read, (page) => older.length === 0 && show(page));
  return h('div', {}, heading('Jobs', h('label', { for: 'status' }, 'Status ', status)), list);
}

/** Where it stands in a word, or how far it is. */
const progressOf = ({ status, progress }: Pick<JobSummary, 'status' | 'progress'>): Node | string =>
  status === 'running' && progress
    ? h('progress', {
        max: 1,
        value: progress.fraction,
        'aria-label': `${figure(Math.round(100 * progress.fraction))} %`,
      })
    : '';

export const tookOf = ({ started_at, ended_at }: Pick<JobSummary, 'started_at' | 'ended_at'>): string =>
  started_at === null
    ? '–'
    : duration(((ended_at === null ? Date.now() : Date.parse(ended_at)) - Date.parse(started_at)) / 1000);

const jobTable = (jobs: readonly JobSummary[]): Node =>
  table(
    'Jobs, newest first',
    ['Job', 'Type', 'Status', 'Progress', 'Created', '#Took', 'Labels'],
    jobs.map((job) => [
      idLink(job.id, 'jobs'),
      job.type,
      badge(job.status),
      progressOf(job),
      when(job.created_at),
      tookOf(job),
      h(
        'bdi',
        {},
        Object.entries(job.labels)
          .map(([name, value]) => `${name}=${value}`)
          .join(' ')
          .slice(0, 200),
      ),
    ]),
  );

function nothing(status: string): Node {
  return status
    ? empty(`No job is ${status}.`, h('p', {}, 'Choose another status above.'))
    : empty(
        'There are no jobs yet.',
        h('p', {}, 'Create the first one in a shell; it appears here by itself:'),
        commandLine(`export SEXTANT_URL=${location.origin} SEXTANT_KEY=…\nsextant run lm.train --param steps=100`),
        h('p', {}, 'More ways are in ', h('a', { href: '/docs/' }, 'the guide'), '.'),
      );
}
