/** Streams of training data. */
import type { HostArray } from '../graph/index.ts';

/**
 * Several steps of data: for each batch input an array of `steps` batches one after another, and for each shared input
 * one array.
 */
export type Chunk = { steps: number; feeds: Readonly<Record<string, HostArray>> };

/**
 * Data from a given step (0-based) on. A trainer that resumes asks for the step it stands at; the data of a step must
 * not depend on where the stream began. The next chunk is asked for before the current one is computed, so file reads
 * and other asynchronous work go on meanwhile.
 */
export type ChunkSource = (fromStep: number) => AsyncIterable<Chunk>;

/** A source that makes each step's feeds by a function of the step, gathered into chunks of `chunk` steps. */
export function fromSteps(
  steps: number,
  chunk: number,
  feedsOf: (step: number) => Readonly<Record<string, HostArray>> | Promise<Readonly<Record<string, HostArray>>>,
): ChunkSource {
  return async function* chunks(fromStep) {
    for (let first = fromStep; first < steps; first += chunk) {
      const count = Math.min(chunk, steps - first);
      const parts: Readonly<Record<string, HostArray>>[] = [];
      for (let i = 0; i < count; i++) {
        parts.push(await feedsOf(first + i));
      }
      const feeds = Object.fromEntries(
        Object.keys(parts[0] ?? {}).map((name) => [name, joined(parts.map((part) => part[name]!))]),
      );
      yield { steps: count, feeds };
    }
  };
}

/** Arrays of one kind, one after another. */
function joined(parts: readonly HostArray[]): HostArray {
  const [first] = parts;
  if (parts.length === 1) {
    return first!;
  }
  const length = parts.reduce((total, part) => total + part.length, 0);
  const whole = new (first!.constructor as new (n: number) => HostArray)(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part as never, offset);
    offset += part.length;
  }
  return whole;
}
