/** The compressed copies that a study has done with, published so that another worker goes on at the next. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { digestSchema } from '../../../shared/contracts/manifest.ts';
import contract from '../../../shared/jobs/compression.study.ts';
import type { LatentDrift } from '../../compression/index.ts';
import { BackgroundSaves, type Checkpoints } from '../../study/index.ts';

const statedSchema = contract.result.shape.copies.element;
const stateSchema = z.strictObject({ of: digestSchema, copies: z.number().int().nonnegative() });
const driftSchema: z.ZodType<LatentDrift> = z.strictObject({
  alive: z.number(),
  alive_after: z.number(),
  died: z.number(),
  correlations: z.array(z.number()),
  survival: z.number(),
  overlap: z.number(),
  drifted: statedSchema.shape.drifted,
});
const copySchema = z.strictObject({ stated: statedSchema, drift: driftSchema });
type StudiedCopy = z.output<typeof copySchema>;

const COPIES = 'copies.json';

export class StudiedCopies {
  readonly #saves: BackgroundSaves;
  readonly #of: string;
  readonly #copies: StudiedCopy[];

  private constructor(checkpoints: Checkpoints, of: string, copies: StudiedCopy[]) {
    this.#saves = new BackgroundSaves(checkpoints);
    this.#of = of;
    this.#copies = copies;
  }

  /**
   * What an earlier attempt at the same study finished.
   * @param of digest of everything that the figures depend on
   * @throws SextantError `unavailable`, `artefact_mismatch` where it cannot be fetched
   */
  static async open(checkpoints: Checkpoints, of: string): Promise<StudiedCopies> {
    const { last } = checkpoints;
    const state = stateSchema.safeParse(last?.state);
    if (!last || !state.success || state.data.of !== of) {
      return new StudiedCopies(checkpoints, of, []);
    }
    const saved: unknown = JSON.parse(await readFile(await last.file(COPIES), 'utf8'));
    const copies = z.array(copySchema).safeParse(saved);
    const whole = copies.success && copies.data.length === state.data.copies;
    // As they were saved: what is read has its fields in another order, and the report's bytes would differ.
    return new StudiedCopies(checkpoints, of, whole ? (saved as StudiedCopy[]) : []);
  }

  get done(): readonly StudiedCopy[] {
    return this.#copies;
  }

  add(copy: StudiedCopy): void {
    this.#copies.push(copy);
    if (!this.#saves.due) {
      return;
    }
    const content = new TextEncoder().encode(JSON.stringify(this.#copies));
    void this.#saves.begin({ of: this.#of, copies: this.#copies.length }, [{ name: COPIES, content }]);
  }
}
