/** A stored recording of which parts are read by ranges, in whatever format it lies. */
import type { Job } from '../../client/index.ts';

export type Lead = { name: string; unit: string; rate: number };
export type Recording = {
  leads: readonly Lead[];
  /** Of the whole recording. */
  seconds: number;
  /** Samples of every lead between two times in seconds; NaN where one is missing. */
  read: (from: number, to: number, signal: AbortSignal) => Promise<Float64Array[]>;
};
export type Artefact = Job['artefacts'][number];
/** Bytes `from` to `to`, the latter not included; fewer at the end. */
export type ReadBytes = (artefact: Artefact, from: number, to: number, signal: AbortSignal) => Promise<Uint8Array>;
