/** Reports: found by the jobs that published them, and laid out whatever they hold. */
import { fill, h } from '../elements.ts';
import { empty, facts, heading, idLink, link, section } from '../parts.ts';
import { laidOut } from '../values.ts';
import type { Place } from '../view.ts';
import { when } from '../words.ts';
import { pictures } from './artefacts.ts';
import { publishingJobs } from './publishing-jobs.ts';

export async function reports(place: Place, id?: string): Promise<Node> {
  return id === undefined ? list(place) : one(place, id);
}

const list = (place: Place): Promise<Node> =>
  publishingJobs(place, {
    kind: 'report',
    title: 'Reports',
    view: 'reports',
    prefix: 'rep',
    caption: 'Jobs that report, newest first',
    newest: 20,
    none: empty(
      'No job has reported yet.',
      h(
        'p',
        {},
        'Audits, evaluations and studies publish reports. ',
        h('a', { href: '/docs/' }, 'The guides'),
        ' show one of each field.',
      ),
    ),
  });

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
