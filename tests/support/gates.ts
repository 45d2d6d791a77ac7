/** What a study asks of its toys, each with the figure that was seen. */

export type Gate = { what: string; value: string; met: boolean };

/** Three decimals; a dash for what was not measured. */
export const fixed = (value: number | null | undefined): string => value?.toFixed(3) ?? '–';

/** A figure that lies from `low` to `high`. */
export const within = (what: string, value: number | null | undefined, low: number, high: number): Gate => ({
  what,
  value: fixed(value),
  met: value != null && value >= low && value <= high,
});

/** The gates as lines of a page. */
export const gateLines = (gates: readonly Gate[]): string[] =>
  gates.map(({ what, value, met }) => `- ${met ? 'met' : '**missed**'}: ${what} (${value})`);
