/**
 * Whose turn it is: deficit round robin over tenants, counted in estimated device seconds, one job a turn. Each tenant has
 * a mark, the device seconds it has been given so far on a clock that all share; the one furthest behind goes next. A
 * tenant that comes (back) starts at the clock: it has no claim on the time it was away, and owes what it took before.
 * Pure.
 */

export type TenantMark = {
  tenant: string;
  /** Where the tenant stands on the shared clock, in device seconds. */
  mark: number;
  /** Estimate of the job that it would have next. */
  cost: number;
  /** Jobs that it has on workers or on their way to one. */
  held: number;
};

/** A tenant's mark when its first job begins to wait. */
export const markOnArrival = (mark: number | null, clock: number): number => Math.max(mark ?? 0, clock);

/**
 * The tenant to serve, its mark after that and the clock's; null where none may be served. `tenants` have a job waiting,
 * in the order in which they came; none has more than `cap` jobs held.
 */
export function nextTurn(
  tenants: readonly TenantMark[],
  cap: number,
): { tenant: string; mark: number; clock: number } | null {
  let best: TenantMark | null = null;
  for (const one of tenants) {
    if (one.held < cap && (best === null || one.mark < best.mark)) {
      best = one;
    }
  }
  return best && { tenant: best.tenant, mark: best.mark + best.cost, clock: best.mark };
}
