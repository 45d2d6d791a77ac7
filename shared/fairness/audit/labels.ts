/** Outcomes of an audit: numbers, or whatever cells are one of two. */
import { booleanText } from '../../formats/table.ts';
import { dataError } from '../data-error.ts';

/**
 * Labels as numbers. With `positive`, 1 where the cell is that text and 0 elsewhere; true and false are 1 and 0. Raises
 * `data_invalid` for texts without a `positive` and a `positive` that no cell is.
 */
export function outcomes(
  labels: readonly unknown[] | Float64Array,
  positive: string | null,
  pointer = '/labels',
): Float64Array {
  if (positive !== null) {
    const wanted = booleanText(positive);
    const found = Float64Array.from(labels, (label) => Number(booleanText(String(label)) === wanted));
    if (!found.includes(1)) {
      throw dataError(
        'label_not_binary',
        '/positive',
        `no label is "${positive.slice(0, 60)}", which is to count as 1`,
      );
    }
    return found;
  }
  return Float64Array.from(labels, (label, i) => {
    if (typeof label === 'string') {
      throw dataError(
        'label_not_binary',
        `${pointer}/${i}`,
        `label ${i} is the text "${label.slice(0, 60)}"; say in \`positive\` which text counts as 1`,
      );
    }
    return Number(label);
  });
}
