import { describe, expect, it } from 'vitest';
import { markOnArrival, nextTurn } from '../../../../edge/jobs/dispatcher/turns.ts';

/** Tenants with endless jobs of these costs; answers what each was given in so many turns. */
function serve(costs: Record<string, () => number>, turns: number): { given: Record<string, number>; order: string[] } {
  let marks = Object.keys(costs).map((tenant) => ({ tenant, mark: 0, cost: costs[tenant]?.() ?? 0, held: 0 }));
  const given: Record<string, number> = {};
  const order: string[] = [];
  for (let i = 0; i < turns; i += 1) {
    const turn = nextTurn(marks, 10);
    if (!turn) {
      break;
    }
    order.push(turn.tenant);
    const served = marks.find(({ tenant }) => tenant === turn.tenant);
    given[turn.tenant] = (given[turn.tenant] ?? 0) + (served?.cost ?? 0);
    marks = marks.map((one) =>
      one.tenant === turn.tenant ? { ...one, mark: turn.mark, cost: costs[one.tenant]?.() ?? 0 } : one,
    );
  }
  return { given, order };
}

describe('turns', () => {
  it('give every tenant the same device seconds, but for one job', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    let state = seed;
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return state / 2 ** 31;
    };
    const { given } = serve({ small: () => 0.2, middling: () => 1 + 9 * random(), large: () => 300 }, 5000);
    const values = Object.values(given);
    expect(Math.max(...values) - Math.min(...values)).toBeLessThanOrEqual(300.001);
  });

  it('serve who comes anew next, whatever its job costs and however long the line', () => {
    const long = { tenant: 'a', mark: 500, cost: 0.2, held: 2 };
    const fresh = { tenant: 'b', mark: markOnArrival(null, 499.8), cost: 10_000, held: 0 };
    expect(nextTurn([long, fresh], 10)?.tenant).toBe('b');
  });

  it('forget no debt of a tenant that went away', () => {
    expect(markOnArrival(900, 500)).toBe(900);
    expect(markOnArrival(100, 500)).toBe(500);
  });

  it('pass over a tenant at its cap, and stop when all are', () => {
    const at = (tenant: string, held: number, mark: number) => ({ tenant, held, mark, cost: 1 });
    expect(nextTurn([at('a', 3, 0), at('b', 0, 9)], 3)?.tenant).toBe('b');
    expect(nextTurn([at('a', 3, 0)], 3)).toBeNull();
  });
});
