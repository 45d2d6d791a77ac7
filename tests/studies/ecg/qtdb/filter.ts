/** The tables' recursive filter: Butterworth sections of order 4, 0.67 Hz high-pass and 150 Hz low-pass, both without delay. */
import type { Section } from '../../../../gpu-worker/ecg/signal/butterworth.ts';
import { zeroPhase } from '../../../../gpu-worker/ecg/signal/zero-phase.ts';

const [RATE, LOW, HIGH] = [360, 0.67, 150];
/** Quality of the two pairs of poles of order 4. */
const PAIRS = [1 / (2 * Math.cos(Math.PI / 8)), 1 / (2 * Math.cos((3 * Math.PI) / 8))];

function sections(edge: number, kind: 'high' | 'low'): Section[] {
  const angle = (2 * Math.PI * edge) / RATE;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return PAIRS.map((quality): Section => {
    const alpha = sin / (2 * quality);
    const outer = (kind === 'high' ? 1 + cos : 1 - cos) / 2;
    const middle = kind === 'high' ? -2 * outer : 2 * outer;
    const [b0, b1, a1, a2] = [outer, middle, -2 * cos, 1 - alpha].map((value) => value / (1 + alpha)) as [
      number,
      number,
      number,
      number,
    ];
    return [b0, b1, b0, 1, a1, a2];
  });
}

export const recursiveFilter = (beat: Float64Array): Float64Array =>
  zeroPhase(sections(HIGH, 'low'), zeroPhase(sections(LOW, 'high'), beat));
