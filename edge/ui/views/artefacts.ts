/** Artefacts of a job: pictures as images of their own, and files to save, both fetched with the key. */
import type { Job } from '../../client/index.ts';
import { fill, h } from '../elements.ts';
import { button, commandLine, section, table } from '../parts.ts';
import type { Place } from '../view.ts';
import { bytes, short } from '../words.ts';

type Artefact = Job['artefacts'][number];
/** A browser holds a file in memory until it is saved. */
const MOST_SAVED = 256e6;

/** Bytes under an address that lives as long as the view. */
async function addressOf(artefact: Artefact, { client, signal }: Place): Promise<string> {
  const content = await client.artefacts.bytes(artefact.id, { signal });
  const address = URL.createObjectURL(new Blob([content], { type: artefact.media_type }));
  signal.addEventListener('abort', () => URL.revokeObjectURL(address), { once: true });
  return address;
}

/** Drawings as images: as such they run no script and load nothing. Null where there are none. */
export function pictures(artefacts: readonly Artefact[], place: Place): Node | null {
  const drawn = artefacts.filter(({ media_type }) => media_type === 'image/svg+xml');
  return drawn.length === 0
    ? null
    : section('Pictures', h('div', { class: 'pictures' }, ...drawn.map((artefact) => picture(artefact, place))));
}

function picture(artefact: Artefact, place: Place): Node {
  const figure = h(
    'figure',
    {},
    h('figcaption', {}, h('bdi', {}, artefact.name)),
    h('p', { class: 'quiet' }, 'Loading…'),
  );
  addressOf(artefact, place).then(
    (src) => figure.lastElementChild?.replaceWith(h('img', { src, alt: `Picture ${artefact.name}` })),
    (error: Error) =>
      fill(figure, h('figcaption', {}, h('bdi', {}, artefact.name)), h('p', { class: 'told' }, error.message)),
  );
  return figure;
}

/** All of them, with a way to save each. Null where there are none. */
export function artefacts(all: readonly Artefact[], place: Place): Node | null {
  return all.length === 0
    ? null
    : section(
        'Artefacts',
        table(
          'Artefacts',
          ['Name', '#Size', 'Type', 'Digest', 'Save'],
          all.map((artefact) => [
            h('bdi', {}, artefact.name),
            bytes(artefact.bytes),
            artefact.media_type,
            h('code', { title: artefact.sha256 }, short(artefact.sha256)),
            saving(artefact, place),
          ]),
        ),
      );
}

function saving(artefact: Artefact, place: Place): Node {
  if (artefact.bytes > MOST_SAVED) {
    return commandLine(`sextant artefacts download ${artefact.id}`);
  }
  const press = button(
    'Save',
    () => {
      press.disabled = true;
      addressOf(artefact, place)
        .then((href) => h('a', { href, download: artefact.name }).click(), place.fail)
        .finally(() => {
          press.disabled = false;
        });
    },
    { 'aria-label': `Save ${artefact.name}` },
  );
  return press;
}
