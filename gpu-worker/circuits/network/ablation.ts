/** What sources give where a node or an edge is taken out: another run's values, means, or nothing. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { combined, type Recording } from './recording.ts';

/**
 * `patch`: what the corrupted twin gives; `mean`: the mean over all corrupted prompts at the position; `template_mean`: over those
 * of the same template; `zero`.
 */
const ABLATIONS = ['patch', 'template_mean', 'mean', 'zero'] as const;
export type Ablation = (typeof ABLATIONS)[number];

/**
 * What every row's sources give when ablated, of a recording of corrupted prompts. Positions are counted from the end of a
 * prompt, and padding takes no part.
 * @param templates of each row
 * @throws SextantError `data_invalid` for means by template where a row has none
 */
export function ablated(corrupted: Recording, ablation: Ablation, templates: readonly (string | null)[]): Recording {
  switch (ablation) {
    case 'patch':
      return corrupted;
    case 'zero':
      return combined([corrupted], ([values]) => new Float32Array(values!.length));
    case 'mean':
      return means(
        corrupted,
        templates.map(() => ''),
      );
    case 'template_mean': {
      const without = templates.indexOf(null);
      if (without >= 0) {
        throw new SextantError(
          'data_invalid',
          `pair ${without} names no template, so there is no mean over its template`,
        );
      }
      return means(corrupted, templates as string[]);
    }
    default:
      return ablation satisfies never;
  }
}

function means(recording: Recording, groups: readonly string[]): Recording {
  const { seq, starts } = recording;
  const members = new Map<string, number[]>();
  for (const [row, group] of groups.entries()) {
    members.set(group, [...(members.get(group) ?? []), row]);
  }
  return combined([recording], ([values], width) => {
    const out = new Float32Array(values!.length);
    for (const rows of members.values()) {
      for (let position = 0; position < seq; position++) {
        const there = rows.filter((row) => position >= starts[row]!);
        const mean = new Float64Array(width);
        for (const row of there) {
          for (let i = 0; i < width; i++) {
            mean[i]! += values![(row * seq + position) * width + i]! / there.length;
          }
        }
        for (const row of rows) {
          out.set(
            there.includes(row)
              ? mean
              : values!.subarray((row * seq + position) * width, (row * seq + position + 1) * width),
            (row * seq + position) * width,
          );
        }
      }
    }
    return out;
  });
}
