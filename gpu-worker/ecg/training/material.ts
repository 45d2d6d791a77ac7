/** What a training learns from: clean recordings and noise, both at one rate, with their slow parts taken apart. */
import { combinedNoise, type Leads, power, standardised } from '../mixing/mix.ts';
import { NETWORK_RATE } from '../rate.ts';
import { highPass } from '../signal/butterworth.ts';
import { DRIFT_EDGE } from '../signal/drift-edge.ts';
import { zeroPhase } from '../signal/zero-phase.ts';

/** Fast and slow parts add up to the signal. */
export type Parted = { fast: Float64Array[]; slow: Float64Array[] };
export type CleanRecord = Parted & { name: string };
/** Noise of one kind, of mean 0 and joint deviation 1. */
export type NoiseRecord = Parted & { kind: string };

function parted(leads: Leads): Parted {
  const sections = highPass(DRIFT_EDGE, NETWORK_RATE);
  const fast = leads.map((lead) => zeroPhase(sections, lead));
  return { fast, slow: leads.map((lead, c) => lead.map((value, i) => value - fast[c]![i]!)) };
}

/** A clean recording, standardised per lead over its whole length. */
export const cleanRecord = (name: string, leads: Leads): CleanRecord => ({ name, ...parted(standardised(leads)) });

/** A stretch of noise, its means removed and both channels divided by their joint deviation. */
export function noiseRecord(kind: string, leads: Leads): NoiseRecord {
  const centred = combinedNoise([leads]);
  const factor = 1 / Math.sqrt(power(centred));
  return { kind, ...parted(centred.map((lead) => lead.map((value) => value * factor))) };
}
