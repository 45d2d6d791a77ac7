/** The edits of several rows, of equal kinds at equal hooks, as edits of one batch. */
import { joined } from '../../../shared/math/joined.ts';
import type { Intervention } from '../inference/interventions.ts';

type Stackable = Extract<Intervention, { kind: 'add' | 'project' | 'cap' }>;

/** @param rows the edits of each row, one row's vector in each; edit number i of every row has the same signature */
export function stackedEdits(rows: readonly (readonly Intervention[])[]): Intervention[] {
  const count = rows[0]?.length ?? 0;
  return Array.from({ length: count }, (_, i) => stacked(rows.map((edits) => edits[i] as Stackable)));
}

function stacked(edits: readonly Stackable[]): Intervention {
  const [first] = edits as [Stackable];
  const positions = edits.map((edit) => edit.positions ?? 'all');
  const conditions = edits.map(({ condition }) => condition);
  const shared = {
    hook: first.hook,
    ...(positions[0] !== 'all' && {
      positions: Uint8Array.from(positions.flatMap((mask) => [...(mask as Uint8Array)])),
    }),
    ...(conditions[0] && {
      condition: {
        direction: joined(conditions.map((one) => one!.direction)),
        above: conditions.map((one) => one!.above as number),
      },
    }),
  };
  const of = <K extends Stackable['kind']>(kind: K) =>
    edits.filter((edit) => edit.kind === kind) as Extract<Stackable, { kind: K }>[];
  switch (first.kind) {
    case 'add': {
      const own = of('add');
      const strength = own.map((edit) => (edit.strength ?? 1) as number);
      return { ...shared, kind: 'add', vector: joined(own.map(({ vector }) => vector)), strength };
    }
    case 'project': {
      const own = of('project');
      const factor = own.map((edit) => (edit.factor ?? 0) as number);
      const directions = joined(own.map((edit) => edit.directions));
      return { ...shared, kind: 'project', directions, count: first.count ?? 1, factor };
    }
    case 'cap': {
      const own = of('cap');
      const bounds = {
        ...(first.least !== undefined && { least: own.map(({ least }) => least as number) }),
        ...(first.most !== undefined && { most: own.map(({ most }) => most as number) }),
      };
      return { ...shared, kind: 'cap', direction: joined(own.map(({ direction }) => direction)), ...bounds };
    }
    default:
      return first satisfies never;
  }
}
