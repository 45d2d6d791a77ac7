/** One job, followed as it goes: what was asked, how far it is, what it warned of and what came out. */
import type { Job, JobEvent } from '../../client/index.ts';
import { type Child, fill, h } from '../elements.ts';
import { lineChart } from '../line-chart.ts';
import { badge, button, empty, facts, heading, link, section } from '../parts.ts';
import { laidOut } from '../values.ts';
import type { Place } from '../view.ts';
import { duration, figure, share, when } from '../words.ts';
import { artefacts, pictures } from './artefacts.ts';
import { tookOf } from './jobs.ts';

type ProgressEvent = Extract<JobEvent, { event: 'progress' }>;
const ENDED = new Set(['succeeded', 'failed', 'canceled']);

export async function job(place: Place, id = ''): Promise<Node> {
  const { client, signal, fail } = place;
  const first = await client.jobs.get(id, { signal });
  const about = h('div');
  const curves = h('div', { class: 'charts' });
  const outcome = h('div');
  const params = h('div', {}, h('p', { class: 'quiet' }, 'Reading…'));
  const live = h('p', { class: 'unseen', role: 'status' });

  const show = (job: Job): void => {
    fill(about, summary(job, place, show));
    live.textContent = `The job is ${job.status}`;
    if (ENDED.has(job.status)) {
      fill(outcome, ...outcomeOf(job, place));
    }
  };
  show(first);
  void client.jobs.params(id, { signal }).then(
    (value) => fill(params, laidOut(value, 'parameters')),
    (error: Error) => signal.aborted || fill(params, h('p', { class: 'quiet' }, error.message)),
  );
  void follow(place, first, curves, show).catch((error: unknown) => signal.aborted || fail(error));
  return h(
    'div',
    {},
    heading(first.type, link('All jobs', 'jobs')),
    live,
    about,
    outcome,
    section('Progress', curves),
    section('Parameters', params),
  );
}

/** Draws the curves as events come, and reads the job anew whenever its status changes. */
async function follow(place: Place, first: Job, curves: Element, show: (job: Job) => void): Promise<void> {
  const { client, signal } = place;
  const events: ProgressEvent[] = [];
  let drawn = 0;
  const draw = (): void => {
    drawn = Date.now();
    fill(curves, ...chartsOf(events));
  };
  draw();
  for await (const event of client.jobs.events(first.id, { signal })) {
    if (event.event === 'progress') {
      events.push(event);
      if (Date.now() - drawn > 500) {
        draw();
      }
    } else if (event.event === 'status' && event.data.status !== first.status) {
      show(await client.jobs.get(first.id, { signal }));
    }
  }
  draw();
}

function chartsOf(events: readonly ProgressEvent[]): Child[] {
  if (events.length === 0) {
    return [h('p', { class: 'quiet' }, 'The worker has told of nothing yet.')];
  }
  const last = events.at(-1)!.data;
  const names = [...new Set(events.flatMap(({ data }) => Object.keys(data.metrics)))];
  const charts = names.map((name) => {
    const points = events.flatMap(({ data }, i): [number, number][] =>
      typeof data.metrics[name] === 'number' ? [[data.metrics.step ?? i, data.metrics[name]]] : [],
    );
    return points.length > 1 && name !== 'step' ? lineChart(name, [{ name, points }], 'step') : null;
  });
  return [
    h(
      'p',
      {},
      h('progress', { max: 1, value: last.fraction, 'aria-label': 'progress' }),
      ` ${share(Number(last.fraction.toFixed(3)))} · ${last.stage}`,
    ),
    ...charts,
  ];
}

function summary(job: Job, { client, signal, fail }: Place, show: (job: Job) => void): Node {
  const cancel = (): void => void client.jobs.cancel(job.id, { signal }).then(show, fail);
  const { cost, queue } = job;
  return h(
    'div',
    { class: 'stack' },
    facts([
      ['Job', h('code', {}, job.id)],
      ['Status', badge(job.status)],
      ['Created', when(job.created_at)],
      ['Took', tookOf(job)],
      ['Attempt', figure(job.attempt)],
      ['Device time', `${duration(cost.actual ?? cost.estimate)}${cost.actual === null ? ' expected' : ''}`],
      ...(queue ? [['Ahead in line', figure(queue.ahead)] as const] : []),
      ...(job.run ? [['Ran on', `${job.run.device}, ${job.run.dtype}`] as const] : []),
      ...(job.expires_at ? [['Kept until', when(job.expires_at)] as const] : []),
    ]),
    ENDED.has(job.status) ? null : button('Cancel this job', cancel),
    job.status === 'queued' && queue?.expected_start === null
      ? empty(
          'No worker is there to take it.',
          h('p', {}, 'It waits until one comes. Ask the operator whether workers of its pool are up.'),
        )
      : null,
  );
}

/** What to do about a job that failed. */
function failure(job: Job): Node {
  const { error } = job;
  const passing = [
    'lease_lost',
    'stalled',
    'disk_full',
    'device_unavailable',
    'unavailable',
    'dead_letter',
    'queue_ttl',
  ];
  const next =
    error?.code === 'spending_cap'
      ? 'Raise the cap and resume the job: it goes on from its checkpoint.'
      : error?.code === 'timeout'
        ? 'Create it again with a longer timeout_s, or with less to do.'
        : error?.errors?.length
          ? 'Change the parameters named above and create the job again.'
          : passing.includes(error?.code ?? '')
            ? 'Nothing is wrong with the parameters: create the job again. If it fails again, tell the operator its trace.'
            : 'Read what it says, change the parameters, and create the job again. A dry run says what is wrong with them before anything happens.';
  return h(
    'div',
    { class: 'box bad' },
    h('p', { class: 'strong' }, `It failed with ${error?.code ?? 'no reason'}`),
    h('p', { class: 'told' }, error?.detail),
    ...(error?.errors ?? []).map(({ pointer, detail }) =>
      h('p', { class: 'told' }, h('code', {}, pointer), ` ${detail}`),
    ),
    h('p', {}, next),
    h('p', {}, h('a', { href: '/docs/errors' }, 'What the codes mean')),
    job.trace_id && h('p', { class: 'quiet' }, `Trace ${job.trace_id}`),
  );
}

/** Texts that a result gives under these names are for people. */
const warningsOf = (result: Record<string, unknown> | null): string[] =>
  Object.entries(result ?? {}).flatMap(([name, value]) =>
    /^(warnings?|notices?)$/.test(name) && Array.isArray(value)
      ? value.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
      : [],
  );

function outcomeOf(job: Job, place: Place): Child[] {
  const warnings = warningsOf(job.result);
  return [
    job.status === 'failed' && failure(job),
    warnings.length > 0 &&
      section('Warnings', h('ul', {}, ...warnings.map((text) => h('li', { class: 'told' }, text)))),
    job.type === 'ecg.denoise' && job.status === 'succeeded' && h('p', {}, link('Look at the strips', 'ecg', job.id)),
    pictures(job.artefacts, place),
    job.published.length > 0 && section('Published', laidOut(job.published, 'published')),
    job.result && section('Result', laidOut(job.result, 'result')),
    artefacts(job.artefacts, place),
    job.run && section('Run', laidOut(job.run, 'run')),
  ];
}
