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
