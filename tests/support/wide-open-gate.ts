/** The gate that changes nothing. */
import { GATE_FEATURES, type Gate } from '../../gpu-worker/ecg/denoise/gate.ts';
import { BANDS } from '../../gpu-worker/ecg/denoise/slow-bands.ts';

const constant = (value: number): number[] => [value, ...new Array<number>(GATE_FEATURES - 1).fill(0)];

/** Takes the whole correction and no slow part: the network as it is. */
export const WIDE_OPEN: Gate = { correction: constant(30), slow: Array.from({ length: BANDS }, () => constant(-30)) };
