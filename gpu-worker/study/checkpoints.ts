/** Where a long computation stands, kept beyond the attempt: the next one may run on another machine. */
import type { Blob } from '../../shared/contracts/manifest.ts';

/** Bytes of a blob: in memory, a finished file in `scratch`, or what this attempt or the last checkpoint stored already. */
export type BlobContent = Uint8Array | { file: string } | Blob;

export type SavedState = {
  state: Readonly<Record<string, unknown>>;
  blobs: readonly Blob[];
  /** Path of a local copy of the part. Raises SextantError `artefact_mismatch` when the bytes do not fit the digest. */
  file(name: string): Promise<string>;
};

export type Checkpoints = {
  /** What an earlier attempt saved last; null where there is nothing to go on from. Its form is the reader's to check. */
  last: SavedState | null;
  /** The attempt is about to be stopped: what is not saved after the present chunk is lost. */
  readonly urgent: boolean;
  /**
   * Replaces the checkpoint: `state` is small JSON, anything larger a part. True once another worker could go on from
   * here; false where the edge could not take it, which harms nothing but the insurance.
   */
  save(state: Record<string, unknown>, parts: readonly { name: string; content: BlobContent }[]): Promise<boolean>;
};
