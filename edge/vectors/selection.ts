/** Which representation of a vector a request asks for: `?format=&dtype=` decides, `Accept` only picks the default. */
import { SextantError } from '../../shared/contracts/problem.ts';
import {
  VECTOR_FORMATS,
  type VectorDtype,
  type VectorFormat,
  vectorDtypeSchema,
} from '../../shared/contracts/vector.ts';

/** `metadata` is the vector's description without its values. */
export type Selection = {
  readonly format: VectorFormat | 'metadata';
  readonly dtype: VectorDtype;
  readonly key: string;
};

const select = (format: Selection['format'], dtype: VectorDtype): Selection => ({
  format,
  dtype,
  key: `${format}:${dtype}`,
});
export const METADATA = select('metadata', 'float32');
const DTYPES: readonly VectorDtype[] = vectorDtypeSchema.options;
const SELECTIONS = new Map([
  [METADATA.key, METADATA],
  ...VECTOR_FORMATS.flatMap((format) => DTYPES.map((dtype) => select(format, dtype))).map((s) => [s.key, s] as const),
]);
/** The keys of all representations that a vector can have. */
export const SELECTION_KEYS: readonly string[] = [...SELECTIONS.keys()];
export const selectionOf = (format: VectorFormat, dtype: VectorDtype): Selection =>
  SELECTIONS.get(`${format}:${dtype}`)!;

/** Every query string that names its format, spelled in either order: what the fast path recognises. */
export const QUERIES: ReadonlyMap<string, Selection> = new Map(
  VECTOR_FORMATS.flatMap((format): [string, Selection][] => [
    [`?format=${format}`, selectionOf(format, 'float32')],
    ...DTYPES.flatMap((dtype): [string, Selection][] => [
      [`?format=${format}&dtype=${dtype}`, selectionOf(format, dtype)],
      [`?dtype=${dtype}&format=${format}`, selectionOf(format, dtype)],
    ]),
  ]),
);

export const MEDIA_TYPES = {
  metadata: 'application/json',
  json: 'application/json',
  raw: 'application/octet-stream',
  safetensors: 'application/vnd.safetensors',
  npy: 'application/x-npy',
} as const satisfies Record<Selection['format'], string>;

/** The selection of a request. Raises not_acceptable where `Accept` alone decides and names nothing that exists. */
export function selectionFor(
  format: VectorFormat | undefined,
  dtype: VectorDtype | undefined,
  accept: string | null,
): Selection {
  const chosen = format ?? preferred(accept);
  if (chosen === 'json' && format === undefined && dtype === undefined) {
    return METADATA;
  }
  return selectionOf(chosen, dtype ?? 'float32');
}

function preferred(accept: string | null): VectorFormat {
  if (accept === null || accept.trim() === '') {
    return 'json';
  }
  const ranges = accept.toLowerCase().split(',').map(mediaRange);
  const ranked = (['json', 'raw', 'safetensors', 'npy'] as const)
    .map((format) => ({ format, ...wish(ranges, MEDIA_TYPES[format]) }))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality || b.specificity - a.specificity || a.at - b.at);
  const best = ranked[0]?.format;
  if (best === undefined) {
    throw new SextantError(
      'not_acceptable',
      `a vector comes as ${[...new Set(Object.values(MEDIA_TYPES))].join(', ')}, or as ?format= says`,
    );
  }
  return best;
}

type MediaRange = { range: string; quality: number; specificity: number; at: number };

/** One part of an `Accept` header; a quality that is no number from 0 to 1 asks for nothing. */
function mediaRange(part: string, at: number): MediaRange {
  const [range = '', ...parameters] = part.split(';').map((p) => p.trim());
  const quality = Number(parameters.find((p) => /^q\s*=/.test(p))?.replace(/^q\s*=\s*/, '') ?? 1);
  const specificity = range === '*/*' ? 0 : range.endsWith('/*') ? 1 : 2;
  return { range, quality: quality >= 0 && quality <= 1 ? quality : 0, specificity, at };
}

/** What a header wishes of a media type: its most specific range decides (RFC 9110, 12.5.1). */
function wish(ranges: readonly MediaRange[], type: string): Pick<MediaRange, 'quality' | 'specificity' | 'at'> {
  const fitting = ranges.filter(({ range }) => [type, `${type.split('/')[0]}/*`, '*/*'].includes(range));
  fitting.sort((a, b) => b.specificity - a.specificity);
  return fitting[0] ?? { quality: 0, specificity: 0, at: 0 };
}
