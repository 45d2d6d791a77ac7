/** Results that no list holds: found by the jobs that published them, or opened by their id. */
import { h } from '../elements.ts';
import { button, heading, idLink, placeOf, table } from '../parts.ts';
import type { Place } from '../view.ts';
import { when } from '../words.ts';
import { PUBLISHING } from './publishing-types.ts';

type Options = {
  kind: keyof typeof PUBLISHING;
  title: string;
  /** The view of a single one, and what its ids begin with. */
  view: string;
  prefix: string;
  caption: string;
  /** The newest so many of each type. */
  newest: number;
  /** What stands in the place of the table where there is no job. */
  none: Node;
};

export async function publishingJobs({ client, signal, fail }: Place, options: Options): Promise<Node> {
  const { kind, title, view, prefix, caption, newest, none } = options;
  const found = await Promise.all(
    PUBLISHING[kind].map((type) => client.jobs.list({ type, status: 'succeeded', limit: newest, signal })),
  );
  const jobs = found.flatMap(({ data }) => data).sort((a, b) => b.created_at.localeCompare(a.created_at));
  const name = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
  const input = h('input', {
    id: kind,
    required: true,
    pattern: `${prefix}_[a-z2-7]{52}`,
    title: `${prefix}_ and 52 characters`,
    spellcheck: 'false',
  });
  const submit = (event: Event): void => {
    event.preventDefault();
    location.hash = placeOf(view, input.value.trim());
  };
  /** A job says what it published when it is read by itself. */
  const open = async (job: string): Promise<void> => {
    const { published } = await client.jobs.get(job, { signal });
    const result = published.find((one) => one.kind === kind);
    location.hash = result ? placeOf(view, result.id) : placeOf('jobs', job);
  };
  return h(
    'div',
    {},
    heading(title),
    h(
      'form',
      { class: 'row', submit },
      h('label', { for: kind }, `${name} `),
      input,
      h('button', { type: 'submit' }, 'Open'),
    ),
    jobs.length === 0
      ? none
      : table(
          caption,
          ['Type', 'Job', 'Created', name],
          jobs.map((job) => [
            job.type,
            idLink(job.id, 'jobs'),
            when(job.created_at),
            button('Open', () => void open(job.id).catch(fail), {
              'aria-label': `Open the ${kind} of ${job.type} ${when(job.created_at)}`,
            }),
          ]),
        ),
  );
}
