/** Reports: found by the jobs that published them, and laid out whatever they hold. */
import { fill, h } from '../elements.ts';
import { button, empty, facts, heading, idLink, link, placeOf, section, table } from '../parts.ts';
import { laidOut } from '../values.ts';
import type { Place } from '../view.ts';
import { when } from '../words.ts';
import { pictures } from './artefacts.ts';

const REPORTING = [
  'activations.extract',
  'block_sparse.train',
  'circuits.find',
  'circuits.study',
  'compression.study',
  'fairness.audit',
  'lm.evaluate',
  'model.compare',
  'model.compress',
  'reflection.study',
  'refusal.repair',
  'refusal.study',
  'sae.encode',
  'sae.evaluate',
] as const;

export async function reports(place: Place, id?: string): Promise<Node> {
  return id === undefined ? list(place) : one(place, id);
}

async function list({ client, signal, fail }: Place): Promise<Node> {
  const found = await Promise.all(
    REPORTING.map((type) => client.jobs.list({ type, status: 'succeeded', limit: 20, signal })),
  );
  const jobs = found.flatMap(({ data }) => data).sort((a, b) => b.created_at.localeCompare(a.created_at));
  const input = h('input', {
    id: 'report',
    required: true,
    pattern: 'rep_[a-z2-7]{52}',
    title: 'rep_ and 52 characters',
    spellcheck: 'false',
  });
  const submit = (event: Event): void => {
    event.preventDefault();
    location.hash = placeOf('reports', input.value.trim());
  };
  /** A job says what it published when it is read by itself. */
  const open = async (job: string): Promise<void> => {
    const { published } = await client.jobs.get(job, { signal });
    const report = published.find(({ kind }) => kind === 'report');
    location.hash = report ? placeOf('reports', report.id) : placeOf('jobs', job);
  };
  return h(
    'div',
    {},
    heading('Reports'),
    h(
      'form',
      { class: 'row', submit },
      h('label', { for: 'report' }, 'Report '),
      input,
      h('button', { type: 'submit' }, 'Open'),
    ),
    jobs.length === 0
      ? empty(
          'No job has reported yet.',
          h(
            'p',
            {},
            'Audits, evaluations and studies publish reports. ',
            h('a', { href: '/docs/' }, 'The guides'),
            ' show one of each field.',
          ),
        )
      : table(
          'Jobs that report, newest first',
          ['Type', 'Job', 'Created', 'Report'],
          jobs.map((job) => [
            job.type,
            idLink(job.id, 'jobs'),
            when(job.created_at),
            button('Open', () => void open(job.id).catch(fail), {
              'aria-label': `Open the report of ${job.type} ${when(job.created_at)}`,
            }),
          ]),
        ),
  );
}

async function one(place: Place, id: string): Promise<Node> {
  const { client, signal } = place;
  const report = await client.reports.get(id, { signal });
  const drawn = h('div');
  if (report.job !== null) {
    // a job is forgotten before what it published
    void client.jobs.get(report.job, { signal }).then(
      (job) => fill(drawn, pictures(job.artefacts, place)),
      () => undefined,
    );
  }
  return h(
    'div',
    {},
    heading(report.method, link('All reports', 'reports')),
    facts([
      ['Report', h('code', {}, report.id)],
      ['Model', h('code', {}, report.model ?? '–')],
      ['Hook', h('code', {}, report.hook ?? '–')],
      ['Created', when(report.created_at)],
      ...(report.job ? [['Made by', idLink(report.job, 'jobs')] as const] : []),
    ]),
    drawn,
    section('Findings', laidOut(report.body, 'findings')),
    section('Parameters', laidOut(report.params, 'parameters')),
  );
}
