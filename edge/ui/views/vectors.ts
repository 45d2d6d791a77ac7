/** Steering vectors with their calibration. */
import type { Vector } from '../../client/index.ts';
import { h } from '../elements.ts';
import { lineChart } from '../line-chart.ts';
import { commandLine, empty, facts, heading, idLink, link, section, table } from '../parts.ts';
import { laidOut } from '../values.ts';
import type { Place } from '../view.ts';
import { figure, when } from '../words.ts';

export async function vectors(place: Place, id?: string): Promise<Node> {
  return id === undefined ? list(place) : one(place, id);
}

async function list({ client, signal }: Place): Promise<Node> {
  const [{ data }, names] = await Promise.all([
    client.vectors.list({ limit: 100, signal }),
    client.vectorNames.list({ limit: 100, signal }),
  ]);
  const namesOf = (id: string) => names.data.filter((row) => row.id === id).map(({ name }) => name);
  return h(
    'div',
    {},
    heading('Vectors'),
    data.length === 0
      ? empty(
          'There are no vectors yet.',
          h('p', {}, 'Derive one from two sets of texts, or publish your own:'),
          commandLine('sextant vectors publish --help'),
          h('p', {}, h('a', { href: '/docs/steering' }, 'Steering'), ' shows both.'),
        )
      : table(
          'Vectors, newest first',
          ['Vector', 'Names', 'From', 'To', 'Hook', 'Method', '#Width', '#Strength', 'Created'],
          data.map((vector) => [
            idLink(vector.id, 'vectors'),
            h('bdi', {}, namesOf(vector.id).join(', ')),
            h('bdi', {}, vector.negative_pole ?? '–'),
            h('bdi', {}, vector.positive_pole),
            h('code', {}, vector.hook ?? '–'),
            vector.method,
            figure(vector.width),
            figure(vector.strength),
            when(vector.created_at),
          ]),
        ),
  );
}

async function one({ client, signal }: Place, id: string): Promise<Node> {
  const vector = await client.vectors.get(id, { signal });
  return h(
    'div',
    {},
    heading(
      h('bdi', {}, `${vector.negative_pole ?? 'none'} → ${vector.positive_pole}`),
      link('All vectors', 'vectors'),
    ),
    facts([
      ['Vector', h('code', {}, vector.id)],
      ['Model', h('code', {}, vector.model ?? '–')],
      ['Hook', h('code', {}, vector.hook ?? '–')],
      ['Method', vector.method],
      ['Width', figure(vector.width)],
      ['Residual norm', figure(vector.residual_norm)],
      ['Calibrated strength', figure(vector.strength)],
      ...(vector.job ? [['Made by', idLink(vector.job, 'jobs')] as const] : []),
    ]),
    section('Calibration', ...calibration(vector)),
    section('Effect at the calibrated strength', laidOut(vector.effect, 'effect')),
    section('Parameters', laidOut(vector.params, 'parameters')),
    section('Provenance', laidOut(vector.provenance, 'provenance')),
  );
}

/** One chart per measured number, over strength. */
function calibration({ calibration }: Vector): Node[] {
  const strengthOf = (point: Record<string, unknown>) => Number(point.strength);
  const names = [...new Set(calibration.flatMap((point) => Object.keys(point)))].filter(
    (name) => name !== 'strength' && calibration.every((point) => typeof (point[name] ?? 0) === 'number'),
  );
  if (names.length === 0 || calibration.length < 2) {
    return [h('p', { class: 'quiet' }, 'It was not calibrated: choose a strength by trying some in lm.evaluate.')];
  }
  const charts = names.map((name) =>
    lineChart(
      name,
      [
        {
          name,
          points: calibration.flatMap((point): [number, number][] =>
            typeof point[name] === 'number' ? [[strengthOf(point), point[name]]] : [],
          ),
        },
      ],
      'strength',
    ),
  );
  return [
    h('div', { class: 'charts' }, ...charts),
    h('details', {}, h('summary', {}, 'As numbers'), laidOut(calibration, 'calibration') as Node),
  ];
}
