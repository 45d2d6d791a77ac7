/** The state of a sweep on disk, so that a run that was killed continues exactly where it was last saved. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
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

/**
 * Files in one folder, which belongs to one piece of work alone. They are this worker's own cache in Node's own format:
 * never uploaded, never read from anywhere else.
 */
export class SweepFiles {
  private readonly folder: string;
  private readonly seconds: number;
  private saved = performance.now();

  /** @param seconds between two saves */
  constructor(folder: string, seconds = 60) {
    this.folder = folder;
    this.seconds = seconds;
  }

  due(): boolean {
    return performance.now() - this.saved >= 1000 * this.seconds;
  }

  /** Writes beside the former state and renames, so that a crash leaves one of the two whole. */
  async save(checkpoint: SweepCheckpoint): Promise<void> {
    const { states, ...rest } = checkpoint;
    const fresh = `${this.folder}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true });
    for (const [i, state] of states.entries()) await writeFile(join(fresh, `${i}.state`), serialize(state));
    await writeFile(join(fresh, 'sweep'), serialize({ ...rest, members: states.length }));
    await rm(this.folder, { recursive: true, force: true });
    await rename(fresh, this.folder);
    this.saved = performance.now();
  }

  /** The last state, or undefined; what cannot be read counts as absent. */
  async load(): Promise<SweepCheckpoint | undefined> {
    try {
      const { members, ...rest } = deserialize(await readFile(join(this.folder, 'sweep'))) as Omit<
        SweepCheckpoint,
        'states'
      > & { members: number };
      const states: TrainerState[] = [];
      for (let i = 0; i < members; i++) {
        states.push(deserialize(await readFile(join(this.folder, `${i}.state`))) as TrainerState);
      }
      return { ...rest, states };
    } catch {
      return undefined;
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
