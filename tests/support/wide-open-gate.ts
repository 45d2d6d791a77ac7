/** The gate that changes nothing. */
import { GATE_FEATURES, type Gate } from '../../gpu-worker/ecg/denoise/gate.ts';

/** Takes the whole correction and no slow part: the network as it is. */
export const WIDE_OPEN: Gate = {
  correction: [30, ...new Array<number>(GATE_FEATURES - 1).fill(0)],
  slow: [-30, ...new Array<number>(GATE_FEATURES - 1).fill(0)],
};
