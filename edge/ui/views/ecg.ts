/** Denoised recordings, and one as strips: a window of it is read at a time, wherever it is scrolled to. */
import type { Job } from '../../client/index.ts';
import { fill, h } from '../elements.ts';
import { button, commandLine, empty, facts, heading, idLink, link, section, table } from '../parts.ts';
import { openRecording } from '../recordings/open.ts';
import type { Recording } from '../recordings/recording.ts';
import type { Place } from '../view.ts';
import { clock, figure, when } from '../words.ts';
import { drawOverview, drawStrip } from './strip.ts';

type Quality = { flags: string[]; leads: { name: string; flags: string[][] }[] };
const WINDOWS = [5, 10, 30, 60];

export async function ecg(place: Place, id?: string): Promise<Node> {
  return id === undefined ? list(place) : strips(place, id);
}

async function list({ client, signal }: Place): Promise<Node> {
  const { data } = await client.jobs.list({ type: 'ecg.denoise', limit: 100, signal });
  return h(
    'div',
    {},
    heading('ECG'),
    data.length === 0
      ? empty(
          'No recording has been denoised yet.',
          h('p', {}, 'Send one:'),
          commandLine('sextant ecg denoise record.hea record.dat'),
          h('p', {}, h('a', { href: '/docs/ecg' }, 'The guide'), ' says which formats are read.'),
        )
      : table(
          'Recordings, newest first',
          ['Strips', 'Status', 'Created', 'Kept until'],
          data.map((job) => [
            idLink(job.id, job.status === 'succeeded' ? 'ecg' : 'jobs'),
            job.status,
            when(job.created_at),
            when(job.expires_at),
          ]),
        ),
  );
}

async function strips(place: Place, id: string): Promise<Node> {
  const { client, signal } = place;
  const job = await client.jobs.get(id, { signal });
  if (job.type !== 'ecg.denoise' || job.status !== 'succeeded' || job.result === null) {
    return h(
      'div',
      {},
      heading('Strips'),
      empty('This job has no recording to show.', h('p', {}, link('See the job', 'jobs', id), ' for why.')),
    );
  }
  const result = job.result as {
    leads: { name: string; unit: string; rate_hz: number }[];
    seconds: number;
    quality: string;
  };
  const leads = result.leads.map(({ name, unit, rate_hz }) => ({ name, unit, rate: rate_hz }));
  const quality = job.artefacts.find(({ name }) => name === result.quality);
  const [recording, told] = await Promise.all([
    openRecording(job, leads, result.seconds, place),
    quality
      ? client.artefacts
          .bytes(quality.id, { signal })
          .then((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as Quality)
      : null,
  ]);
  return viewer(place, job, recording, told);
}

function viewer({ signal, fail }: Place, job: Job, recording: Recording, quality: Quality | null): Node {
  const { leads, seconds } = recording;
  /** Flags of every second over all leads. */
  const flagged = Array.from({ length: Math.ceil(seconds) }, (_, second) => [
    ...new Set((quality?.leads ?? []).flatMap(({ flags }) => flags[second] ?? [])),
  ]);
  const choice = h(
    'select',
    { id: 'window' },
    ...WINDOWS.map((s) => h('option', { value: s, selected: s === 10 }, `${s} s`)),
  );
  const slider = h('input', {
    id: 'time',
    type: 'range',
    min: 0,
    max: Math.max(0, Math.ceil(seconds) - 1),
    step: 1,
    value: 0,
  });
  const told = h('output', { for: 'time' });
  const canvases = leads.map(({ name, unit }) =>
    h('canvas', { class: 'strip', role: 'img', 'aria-label': `Lead ${name} in ${unit}` }),
  );
  const overview = h('canvas', {
    class: 'overview',
    role: 'img',
    'aria-label': `${flagged.filter((flags) => flags.length > 0).length} of ${flagged.length} seconds are flagged`,
  });
  const notes = h('div', { class: 'notes', 'aria-live': 'polite' });
  let reading = new AbortController();

  const show = async (): Promise<void> => {
    reading.abort();
    reading = new AbortController();
    const from = Number(slider.value);
    const to = Math.min(seconds, from + Number(choice.value));
    told.textContent = `${clock(from)} to ${clock(to)}`;
    drawOverview(overview, flagged, from, to);
    const stop = AbortSignal.any([signal, reading.signal]);
    try {
      const samples = await recording.read(from, to, stop);
      samples.forEach((values, k) => {
        drawStrip(canvases[k]!, values, { from, to, flags: quality?.leads[k]?.flags ?? [] });
      });
      fill(notes, ...notesOf(flagged, from, to));
    } catch (error) {
      if (!stop.aborted) {
        fail(error);
      }
    }
  };
  const go = (second: number): void => {
    slider.value = String(second);
    void show();
  };
  const flaggedFrom = (start: number, step: 1 | -1): void => {
    for (let second = start; second >= 0 && second < flagged.length; second += step) {
      if (flagged[second]!.length > 0) {
        go(second);
        return;
      }
    }
    fill(notes, h('p', { class: 'quiet' }, `No flagged second ${step > 0 ? 'after' : 'before'} this.`));
  };
  const at = () => Number(slider.value);
  const step = () => Number(choice.value);
  slider.addEventListener('input', () => void show());
  choice.addEventListener('change', () => void show());
  // canvases have a size once they stand on the page, and another when it is turned
  const sized = new ResizeObserver(() => void show());
  sized.observe(overview);
  signal.addEventListener('abort', () => sized.disconnect(), { once: true });
  return h(
    'div',
    {},
    heading('Strips', link('The job', 'jobs', job.id)),
    facts([
      ['Length', clock(seconds)],
      ['Leads', figure(leads.length)],
      ['Flagged', `${figure(flagged.filter((flags) => flags.length > 0).length)} seconds`],
    ]),
    h(
      'div',
      { class: 'row', role: 'group', 'aria-label': 'Where to look' },
      h('label', { for: 'window' }, 'Window ', choice),
      button('◀ Back', () => go(at() - step())),
      button('Forward ▶', () => go(at() + step())),
      button('Flagged before', () => flaggedFrom(at() - 1, -1)),
      button('Flagged after', () => flaggedFrom(at() + 1, 1)),
    ),
    h('label', { for: 'time' }, 'Time ', told),
    slider,
    overview,
    section(
      'Leads',
      ...leads.map((lead, k) =>
        h(
          'figure',
          { class: 'lead' },
          h('figcaption', {}, h('bdi', {}, lead.name), h('span', { class: 'quiet' }, ` ${lead.unit}`)),
          canvases[k],
        ),
      ),
    ),
    section('Flags of this window', notes),
  );
}

function notesOf(flagged: readonly string[][], from: number, to: number): Node[] {
  const seconds = Array.from({ length: Math.ceil(to - from) }, (_, i) => from + i).filter(
    (second) => (flagged[second]?.length ?? 0) > 0,
  );
  return seconds.length === 0
    ? [h('p', { class: 'quiet' }, 'None.')]
    : [
        h(
          'ul',
          {},
          ...seconds.map((second) =>
            h('li', {}, `${clock(second)}: ${flagged[second]!.join(', ').replaceAll('_', ' ')}`),
          ),
        ),
      ];
}
