/**
 * A recording before and after, on ECG paper: 25 mm/s and 10 mm/mV, one lead per row, flagged seconds shaded. Recordings
 * longer than ten seconds show an overview, and below it the worst minute in strips of ten seconds.
 */
import { escapeText } from '../../shared/plots/text.ts';
import type { SecondQuality } from './quality/seconds.ts';

export type PictureLead = {
  name: string;
  seconds: Pick<readonly SecondQuality[], 'length' | 'at' | 'slice'>;
  /** Samples of seconds [from, to) in mV, before and after; NaN where missing. */
  samples(from: number, to: number): Promise<{ noisy: Float64Array; cleaned: Float64Array; rate: number }>;
  /** The same seconds without noise, in mV, where they are known. */
  clean?(from: number, to: number): Promise<Float64Array>;
};

/** Pixels of one millimetre of paper; ten seconds are 250 mm. */
const MM = 4;
const [LEFT, TOP, RIGHT] = [10, 46, 10];
const [STRIP_S, ROW_MV, OVERVIEW_H] = [10, 3.2, 70];
const WIDTH = LEFT + 250 * MM + RIGHT;
const ROW = ROW_MV * 10 * MM + 18;
/** Leads that are drawn; more would fill metres. */
const MOST_LEADS = 12;
const [NOISY, CLEANED, CLEAN] = ['#9aa0a6', '#0b3d91', '#0a7d38'];

export async function drawRecord(title: string, leads: readonly PictureLead[]): Promise<string> {
  const shown = leads.slice(0, MOST_LEADS);
  const seconds = Math.max(1, ...shown.map((lead) => lead.seconds.length));
  const parts: string[] = [];
  let y = TOP;
  const strips: number[] = [];
  if (seconds <= STRIP_S) {
    strips.push(0);
  } else {
    for (const lead of shown) {
      parts.push(await overview(lead, y, seconds));
      y += OVERVIEW_H + 16;
    }
    const worst = worstMinute(shown, seconds);
    parts.push(text(LEFT, y + 4, `worst minute, from ${clock(worst)}`, 15));
    y += 16;
    for (let from = worst; from < Math.min(seconds, worst + 60); from += STRIP_S) {
      strips.push(from);
    }
  }
  for (const from of strips) {
    for (const lead of shown) {
      parts.push(await strip(lead, from, y, seconds > STRIP_S));
      y += ROW;
    }
  }
  const legend = [
    [NOISY, 'as recorded'],
    [CLEANED, 'cleaned'],
    ...(shown.some(({ clean }) => clean) ? ([[CLEAN, 'without noise']] as const) : []),
  ] as const;
  const keys = legend.map(
    ([colour, label], i) =>
      `<line x1="${LEFT + 150 * i}" x2="${LEFT + 150 * i + 24}" y1="34" y2="34" stroke="${colour}" stroke-width="3"/>${text(LEFT + 150 * i + 30, 39, label, 15)}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 8}" font-family="sans-serif" role="img" aria-label="${escapeText(title)}"><rect width="100%" height="100%" fill="#fff"/>${text(LEFT, 20, title, 18)}${keys.join('')}${text(WIDTH - 210, 39, '25 mm/s, 10 mm/mV', 15)}${parts.join('')}</svg>`;
}

const px = (value: number): string => String(Number(value.toFixed(1)));
const text = (x: number, y: number, content: string, size: number): string =>
  `<text x="${px(x)}" y="${px(y)}" font-size="${size}" fill="#222">${escapeText(content)}</text>`;
const clock = (s: number): string =>
  `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, '0')}:${String(Math.floor(s % 60)).padStart(2, '0')}`;

/** The minute with the lowest estimate before cleaning and the most flags. */
function worstMinute(leads: readonly PictureLead[], seconds: number): number {
  let [worst, lowest] = [0, Number.POSITIVE_INFINITY];
  for (let from = 0; from < Math.max(1, seconds - 30); from += 60) {
    let [sum, count] = [0, 0];
    for (const lead of leads) {
      for (const { before, flags } of lead.seconds.slice(from, from + 60)) {
        sum += (before ?? 0) - 10 * flags.length;
        count++;
      }
    }
    if (count > 0 && sum / count < lowest) {
      [worst, lowest] = [from, sum / count];
    }
  }
  return worst;
}

/** Flagged seconds as bands, with the flags' names for readers that show titles. */
function shades(
  { seconds }: PictureLead,
  [from, to]: readonly [number, number],
  y: number,
  height: number,
  perSecond: number,
): string {
  const bands: string[] = [];
  for (let s = Math.floor(from); s < Math.min(to, seconds.length); s++) {
    const { flags } = seconds.at(s)!;
    if (flags.length > 0) {
      bands.push(
        `<rect x="${px(LEFT + (s - from) * perSecond)}" y="${px(y)}" width="${px(Math.max(perSecond, 0.5))}" height="${px(height)}" fill="#f6b73c" fill-opacity="0.45"><title>${escapeText(flags.join(', '))}</title></rect>`,
      );
    }
  }
  return bands.join('');
}

function paper(y: number, height: number): string {
  const lines: string[] = [];
  for (let mm = 0; mm <= 250; mm++) {
    lines.push(
      `<path d="M${LEFT + mm * MM} ${px(y)}v${px(height)}" stroke="${mm % 5 === 0 ? '#f0a3a3' : '#fbe0e0'}" stroke-width="${mm % 5 === 0 ? 1 : 0.5}"/>`,
    );
  }
  for (let mm = 0; mm * MM <= height; mm++) {
    lines.push(
      `<path d="M${LEFT} ${px(y + mm * MM)}h${250 * MM}" stroke="${mm % 5 === 0 ? '#f0a3a3' : '#fbe0e0'}" stroke-width="${mm % 5 === 0 ? 1 : 0.5}"/>`,
    );
  }
  return lines.join('');
}

async function strip(lead: PictureLead, from: number, y: number, timed: boolean): Promise<string> {
  const { noisy, cleaned, rate } = await lead.samples(from, from + STRIP_S);
  const height = ROW_MV * 10 * MM;
  const zero = middle(cleaned);
  const place = (values: Float64Array, i: number): [number, number] => [
    Math.round(10 * (LEFT + (i / rate) * 25 * MM)),
    Math.round(10 * (y + height / 2 - 10 * MM * Math.max(-ROW_MV / 2, Math.min(ROW_MV / 2, values[i]! - zero)))),
  ];
  // Steps from point to point, in tenths of a pixel, take half the characters of places.
  const curve = (values: Float64Array, colour: string, width: number) => {
    let [path, pen] = ['', null as [number, number] | null];
    for (const i of turns(values, rate)) {
      if (Number.isNaN(values[i]!)) {
        pen = null;
        continue;
      }
      const [x, up] = place(values, i);
      path += pen ? `l${x - pen[0]} ${up - pen[1]}` : `M${x} ${up}`;
      pen = [x, up];
    }
    return (
      path &&
      `<path transform="scale(.1)" d="${path}" fill="none" stroke="${colour}" stroke-width="${10 * width}" stroke-linejoin="round"/>`
    );
  };
  const label = timed ? `${lead.name}  ${clock(from)}` : lead.name;
  return [
    paper(y, height),
    shades(lead, [from, from + STRIP_S], y, height, 25 * MM),
    curve(noisy, NOISY, 1.2),
    lead.clean ? curve(await lead.clean(from, from + STRIP_S), CLEAN, 1.2) : '',
    curve(cleaned, CLEANED, 1.8),
    text(LEFT + 6, y + 17, label, 15),
  ].join('');
}

/**
 * Samples that a curve goes through: all of them, or where there are more than four per pixel, the least and the largest of
 * every half pixel, in their order, and one that is missing.
 */
function* turns(values: Float64Array, rate: number): Generator<number> {
  const each = rate / (50 * MM);
  if (each <= 2) {
    yield* values.keys();
    return;
  }
  for (let from = 0; from < values.length; from += each) {
    const [first, end] = [Math.ceil(from), Math.min(values.length, Math.ceil(from + each))];
    let [low, high, hole] = [first, first, -1];
    for (let i = first; i < end; i++) {
      hole = Number.isNaN(values[i]!) ? i : hole;
      low = values[i]! < values[low]! || Number.isNaN(values[low]!) ? i : low;
      high = values[i]! > values[high]! || Number.isNaN(values[high]!) ? i : high;
    }
    yield* [...new Set([low, high, ...(hole < 0 ? [] : [hole])])].sort((a, b) => a - b);
  }
}

/** Between the lowest and the highest waves: a row holds what is between them, wherever the baseline lies. */
function middle(values: Float64Array): number {
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  const beyond = Math.floor(0.002 * known.length);
  return ((known[beyond] ?? 0) + (known[known.length - 1 - beyond] ?? 0)) / 2;
}

/** The whole length as the extent of every pixel, read a minute at a time. */
async function overview(lead: PictureLead, y: number, seconds: number): Promise<string> {
  const columns = 250 * MM;
  const [low, high] = [new Float64Array(columns).fill(Number.NaN), new Float64Array(columns).fill(Number.NaN)];
  for (let from = 0; from < seconds; from += 60) {
    const { cleaned, rate } = await lead.samples(from, Math.min(seconds, from + 60));
    for (let i = 0; i < cleaned.length; i++) {
      const column = Math.min(columns - 1, Math.floor(((from + i / rate) / seconds) * columns));
      if (!(low[column]! <= cleaned[i]!)) {
        low[column] = cleaned[i]!;
      }
      if (!(high[column]! >= cleaned[i]!)) {
        high[column] = cleaned[i]!;
      }
    }
  }
  const known = [...high, ...low].filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const [bottom, top] = [known[Math.floor(0.01 * known.length)] ?? -1, known[Math.floor(0.99 * known.length)] ?? 1];
  const at = (value: number) => y + OVERVIEW_H * (1 - Math.max(0, Math.min(1, (value - bottom) / (top - bottom || 1))));
  let path = '';
  for (let c = 0; c < columns; c++) {
    if (!Number.isNaN(low[c]!)) {
      path += `M${LEFT + c} ${px(at(low[c]!))}V${px(at(high[c]!) - 0.5)}`;
    }
  }
  return `${text(LEFT, y + 10, `${lead.name}, ${clock(seconds)}`, 15)}${shades(lead, [0, seconds], y + 14, OVERVIEW_H, columns / seconds)}<path transform="translate(0 14)" d="${path}" stroke="${CLEANED}" stroke-width="1"/>`;
}
