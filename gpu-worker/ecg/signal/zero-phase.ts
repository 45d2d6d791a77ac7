/**
 * Second-order sections forwards and backwards over a signal, so that nothing is shifted in time. Ends are extended by
 * odd reflection and the state starts as for a constant signal, as scipy's `sosfiltfilt` does by default.
 */
import type { Section } from './butterworth.ts';

/** Samples by which a signal is extended on either side. */
function extension(sections: readonly Section[]): number {
  const zeros = Math.min(
    sections.filter(([, , b2]) => b2 === 0).length,
    sections.filter(([, , , , , a2]) => a2 === 0).length,
  );
  return 3 * (2 * sections.length + 1 - zeros);
}

/** @returns a new signal of the same length; signals shorter than the extension reflect as far as they reach */
export function zeroPhase(sections: readonly Section[], x: ArrayLike<number>): Float64Array {
  const n = x.length;
  if (n < 2) {
    return Float64Array.from(x);
  }
  const edge = Math.min(extension(sections), n - 1);
  const y = new Float64Array(n + 2 * edge);
  for (let i = 0; i < edge; i++) {
    y[i] = 2 * x[0]! - x[edge - i]!;
    y[n + edge + i] = 2 * x[n - 1]! - x[n - 2 - i]!;
  }
  for (let i = 0; i < n; i++) {
    y[edge + i] = x[i]!;
  }
  const start = steadyState(sections);
  filter(sections, y, start);
  y.reverse();
  filter(sections, y, start);
  y.reverse();
  return y.slice(edge, edge + n);
}

/** State of every section (direct form II, transposed) after a constant signal of 1. */
function steadyState(sections: readonly Section[]): [number, number][] {
  let level = 1;
  return sections.map(([b0, b1, b2, , a1, a2]) => {
    const gain = (b0 + b1 + b2) / (1 + a1 + a2);
    const second = b2 - a2 * gain;
    const first = b1 - a1 * gain + second;
    const state: [number, number] = [level * first, level * second];
    level *= gain;
    return state;
  });
}

/** Filters in place, from the steady state of the first value. */
function filter(sections: readonly Section[], y: Float64Array, start: readonly [number, number][]): void {
  const first = y[0]!;
  for (const [s, [b0, b1, b2, , a1, a2]] of sections.entries()) {
    let [u, v] = [start[s]![0] * first, start[s]![1] * first];
    for (let i = 0; i < y.length; i++) {
      const x = y[i]!;
      const out = b0 * x + u;
      u = b1 * x - a1 * out + v;
      v = b2 * x - a2 * out;
      y[i] = out;
    }
  }
}
