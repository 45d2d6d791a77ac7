/** The gate that changes nothing. */
import { GATE_FEATURES, GATE_HIDDEN, type Gate, PARTS } from '../../gpu-worker/ecg/denoise/gate.ts';

const row = (constant: number, length: number): number[] => Array.from({ length }, (_, i) => (i === 0 ? constant : 0));

/** Takes the whole correction and no slow part: the network as it is. */
export const WIDE_OPEN: Gate = {
  hidden: Array.from({ length: GATE_HIDDEN }, () => row(0, GATE_FEATURES)),
  shares: Array.from({ length: PARTS - 1 }, (_, part) => row(part === 0 ? 30 : -30, GATE_HIDDEN + 1)),
};
