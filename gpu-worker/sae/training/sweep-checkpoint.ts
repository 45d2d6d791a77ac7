/** The state of a sweep on disk, so that a run that was killed continues exactly where it was last saved. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readArrays, type StoredArray, type StoredArrays, writeArrays } from '../../training/index.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import type { SourcePosition } from './activation-source.ts';
import type { TrainerState } from './trainer.ts';

export type SweepCheckpoint = {
  step: number;
  position: SourcePosition;
  scale: number;
  /** Of the scaled activations. */
  variance: number;
  centre: Float64Array;
  states: TrainerState[];
};

/** Where a sweep saves its state and looks for one. */
export type SweepStore = {
  /** Whether it is time to save again. */
  due(): boolean;
  save(checkpoint: SweepCheckpoint): Promise<void>;
  /** The last state, or undefined where there is none that can be read. */
  load(): Promise<SweepCheckpoint | undefined>;
};

const count = z.number().int().nonnegative();
/** What is small of a checkpoint; all else are arrays. */
export const sweepStateSchema = z.object({
  step: count,
  position: z.strictObject({ block: count, batch: count }),
  scale: z.number(),
  variance: z.number(),
  members: z.array(z.strictObject({ steps: count, inputs: count, width: count, cut: z.number() })),
});
type SweepState = z.infer<typeof sweepStateSchema>;

const GROUPS = ['parameters', 'first', 'second'] as const;
const NAMES = ['encoder', 'encoderBias', 'decoder', 'decoderBias', 'threshold'] as const;

/** A checkpoint in the form that is stored. */
export function storedSweep({ states, centre, ...rest }: SweepCheckpoint): { state: SweepState; arrays: StoredArrays } {
  const vector = (data: StoredArray['data']): StoredArray => ({ shape: [data.length], data });
  const arrays: Record<string, StoredArray> = { centre: vector(centre) };
  for (const [i, state] of states.entries()) {
    arrays[`${i}.tokens_since_fired`] = vector(state.tokensSinceFired);
    for (const group of GROUPS) {
      for (const name of NAMES) {
        const data = state[group][name];
        if (data) {
          arrays[`${i}.${group}.${name}`] = vector(data);
        }
      }
    }
  }
  const members = states.map(({ steps, cut, parameters: { inputs, width } }) => ({ steps, inputs, width, cut }));
  return { state: { ...rest, members }, arrays };
}

/** Undoes `storedSweep`. @throws Error where arrays are missing or of another length */
export function restoredSweep({ members, ...rest }: SweepState, arrays: StoredArrays): SweepCheckpoint {
  const find = <A>(name: string, kind: new (n: number) => A, length?: number): A => {
    const data = arrays[name]?.data;
    if (!(data instanceof kind) || (length !== undefined && arrays[name]!.data.length !== length)) {
      throw new Error(`the array '${name}' is missing, or not of ${length} numbers`);
    }
    return data;
  };
  const states = members.map(({ steps, inputs, width, cut }, i): TrainerState => {
    const group = (of: string): SaeParameters => {
      const named = (name: string, length: number) => find(`${i}.${of}.${name}`, Float32Array, length);
      return {
        inputs,
        width,
        encoder: named('encoder', width * inputs),
        encoderBias: named('encoderBias', width),
        decoder: named('decoder', width * inputs),
        decoderBias: named('decoderBias', inputs),
        threshold: arrays[`${i}.${of}.threshold`] ? named('threshold', width) : null,
      };
    };
    return {
      steps,
      parameters: group('parameters'),
      first: group('first'),
      second: group('second'),
      tokensSinceFired: find(`${i}.tokens_since_fired`, Float64Array, width),
      cut,
    };
  });
  return { ...rest, centre: find('centre', Float64Array), states };
}

const STATE = 'sweep.json';
/** Share of the running time after which a young run saves again, and the shortest time between two saves, seconds. */
const [YOUNG_SHARE, SHORTEST] = [0.1, 2];

/** Files in one folder, which belongs to one piece of work alone: this worker's own memory of it. */
export class SweepFiles implements SweepStore {
  readonly #folder: string;
  readonly #seconds: number;
  readonly #fileBytes: number;
  readonly #began = performance.now();
  #saved = this.#began;

  /**
   * @param seconds between two saves; less while the run is young
   * @param fileBytes largest file
   */
  constructor(folder: string, { seconds = 60, fileBytes = Number.POSITIVE_INFINITY } = {}) {
    this.#folder = folder;
    this.#seconds = seconds;
    this.#fileBytes = fileBytes;
  }

  due(): boolean {
    const now = performance.now();
    const pause = Math.min(1000 * this.#seconds, Math.max(1000 * SHORTEST, YOUNG_SHARE * (now - this.#began)));
    return now - this.#saved >= pause;
  }

  /** Writes beside the former state and renames, so that a crash leaves one of the two whole. */
  async save(checkpoint: SweepCheckpoint): Promise<void> {
    const fresh = `${this.#folder}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true });
    const { state, arrays } = storedSweep(checkpoint);
    await writeArrays(fresh, arrays, this.#fileBytes);
    await writeFile(join(fresh, STATE), JSON.stringify(state));
    await rm(this.#folder, { recursive: true, force: true });
    await rename(fresh, this.#folder);
    this.#saved = performance.now();
  }

  /** The files of the arrays that were saved last. */
  async arrayFiles(): Promise<string[]> {
    const names = await readdir(this.#folder);
    return names
      .filter((name) => name !== STATE)
      .sort()
      .map((name) => join(this.#folder, name));
  }

  async load(): Promise<SweepCheckpoint | undefined> {
    try {
      const state = sweepStateSchema.parse(JSON.parse(await readFile(join(this.#folder, STATE), 'utf8')));
      return restoredSweep(state, await readArrays(await this.arrayFiles()));
    } catch {
      // What cannot be read counts as absent: the work starts from the beginning.
      return undefined;
    }
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
