/** Time-stamped annotation lists (TALs) of EDF+: +onset, duration, texts, each list ended by a zero byte. */

export type EdfAnnotation = { onset: number; duration: number | null; text: string };

const [END, SEPARATOR, DURATION] = [0x00, '\u0014', '\u0015'];

/**
 * The lists in the annotation signal of one data record. The first entry of the first list has no text and says when the
 * record begins.
 */
export function parseAnnotationLists(bytes: Uint8Array): { onset: number | null; annotations: EdfAnnotation[] } {
  const annotations: EdfAnnotation[] = [];
  let onset: number | null = null;
  let from = 0;
  for (let i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && bytes[i] !== END) {
      continue;
    }
    const list = new TextDecoder().decode(bytes.subarray(from, i));
    from = i + 1;
    if (list === '') {
      continue;
    }
    const [time = '', ...texts] = list.split(SEPARATOR);
    const [begin = '', length] = time.split(DURATION);
    const at = Number(begin);
    if (!/^[+-]/.test(begin) || !Number.isFinite(at)) {
      continue;
    }
    if (onset === null && texts[0] === '') {
      onset = at;
    }
    for (const text of texts) {
      if (text !== '') {
        annotations.push({ onset: at, duration: length === undefined ? null : Number(length), text });
      }
    }
  }
  return { onset, annotations };
}

const signed = (seconds: number): string => `${seconds < 0 ? '-' : '+'}${Number(Math.abs(seconds).toFixed(9))}`;

/** Bytes of one record's annotation signal of `size` bytes; what does not fit is left out and counted. */
export function formatAnnotationLists(
  onset: number,
  annotations: readonly EdfAnnotation[],
  size: number,
): { bytes: Uint8Array; left: number } {
  const bytes = new Uint8Array(size);
  let [at, left] = [0, 0];
  const put = (text: string): void => {
    const list = new TextEncoder().encode(`${text}\0`);
    if (at + list.length > size) {
      left++;
    } else {
      bytes.set(list, at);
      at += list.length;
    }
  };
  put(`${signed(onset)}${SEPARATOR}${SEPARATOR}`);
  for (const { onset: begin, duration, text } of annotations) {
    put(`${signed(begin)}${duration === null ? '' : `${DURATION}${duration}`}${SEPARATOR}${text}${SEPARATOR}`);
  }
  return { bytes, left };
}
