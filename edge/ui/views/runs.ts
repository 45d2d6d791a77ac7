/** Runs of recipes: the list, and one with its steps, both kept current. */
import type { Run, RunSummary } from '../../client/index.ts';
import { fill, h } from '../elements.ts';
import { badge, button, empty, facts, heading, idLink, section, table } from '../parts.ts';
import { keepCurrent, type Place } from '../view.ts';
import { when } from '../words.ts';

export async function runs(place: Place): Promise<Node> {
  const { client, signal } = place;
  const list = h('div');
  const read = () => client.runs.list({ limit: 50, signal });
  const show = ({ data }: { data: RunSummary[] }): void =>
    fill(
      list,
      data.length === 0
        ? empty(
            'No recipe has run yet.',
            h(
              'p',
              {},
              'A recipe runs when its inbound hook hears of a push or a release. ',
              h('a', { href: '/docs/recipes' }, 'Recipes'),
              ' says how to store one and try it dry.',
            ),
          )
        : table(
            'Runs, newest first',
            ['Run', 'Status', 'Repository', 'Revision', 'Created', 'Ended'],
            data.map((run) => [
              idLink(run.id, 'runs'),
              badge(run.status),
              h('bdi', {}, run.event.repository),
              h('code', {}, (run.event.tag ?? run.event.revision ?? '–').slice(0, 40)),
              when(run.created_at),
              when(run.ended_at),
            ]),
          ),
    );
  show(await read());
  void keepCurrent(place, read, show);
  return h('div', {}, heading('Runs'), list);
}

export async function run(place: Place, id = ''): Promise<Node> {
  const { client, signal, fail } = place;
  const body = h('div');
  const read = () => client.runs.get(id, { signal });
  const show = (run: Run): void =>
    fill(
      body,
      facts([
        ['Run', h('code', {}, run.id)],
        ['Status', badge(run.status)],
        ['Repository', h('bdi', {}, run.event.repository)],
        ['Created', when(run.created_at)],
        ['Ended', when(run.ended_at)],
      ]),
      run.error &&
        h(
          'div',
          { class: 'box bad' },
          h('p', { class: 'strong' }, run.error.code),
          h('p', { class: 'told' }, run.error.detail),
          h('p', {}, 'Open the job of the step that failed, mend the recipe, and replay the delivery.'),
        ),
      run.status === 'running' &&
        button('Cancel this run', () => void client.runs.cancel(run.id, { signal }).then(show, fail)),
      section(
        'Steps',
        table(
          'Steps',
          ['Step', 'Type', 'Status', 'Jobs', 'Error'],
          run.steps.map((step) => [
            h('bdi', {}, step.id),
            step.type,
            badge(step.status),
            h('span', { class: 'ids' }, ...step.jobs.map((job) => idLink(job.id, 'jobs'))),
            step.error && h('bdi', {}, `${step.error.code}: ${step.error.detail.slice(0, 500)}`),
          ]),
        ),
      ),
    );
  show(await read());
  void keepCurrent(place, read, show);
  return h('div', {}, heading('Run of a recipe'), body);
}
