/** Conditional parity: every attribute audited again among rows that are alike in what may explain a difference. */
import { SextantError } from '../../contracts/problem.ts';
import { type AttributeOptions, type AttributeReport, type AuditColumnsOf, auditAttribute } from './attribute.ts';
import type { Grouping } from './groups.ts';

/** One stratum of the control: its audit, or why there is none. */
type Stratum = { level: string; count: number } & ({ audit: AttributeReport } | { audit: null; reason: string });
export type Conditional = { control: string; strata: Stratum[] };

const at = <T>(values: ArrayLike<T>, rows: readonly number[]): T[] => rows.map((i) => values[i]!);

/** The attribute's audit within every level of `control`. A stratum in which no two groups have enough rows says so. */
export function conditionalAudit(
  input: AuditColumnsOf,
  grouping: Grouping,
  control: Grouping,
  options: AttributeOptions,
  reference?: string,
): Conditional {
  const { predictions, labels, weights } = input;
  const strata = control.levels.map((level, c): Stratum => {
    const rows: number[] = [];
    control.groupIds.forEach((code, i) => {
      if (code === c) {
        rows.push(i);
      }
    });
    const within: AuditColumnsOf = {
      predictions: at(predictions, rows),
      ...(labels && { labels: at(labels, rows) }),
      ...(weights && { weights: at(weights, rows) }),
    };
    const own: Grouping = { ...grouping, groupIds: Int32Array.from(rows, (i) => grouping.groupIds[i]!) };
    try {
      return { level, count: rows.length, audit: auditAttribute(within, own, options, reference) };
    } catch (error) {
      if (!(error instanceof SextantError && error.code === 'data_invalid')) {
        throw error;
      }
      return { level, count: rows.length, audit: null, reason: error.message };
    }
  });
  return { control: control.name, strata };
}
