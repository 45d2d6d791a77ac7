/** A recording as the denoiser sees it, whatever file it lies in. */

export type LeadInfo = {
  name: string;
  unit: string;
  /** What one unit is in millivolts. */
  millivolts: number;
  /** Samples per second. */
  rate: number;
  /** Largest and smallest value that the file can hold, in its unit; null where it has no bounds. */
  range: { low: number; high: number } | null;
};

/** Samples [from, to) of a lead are not there. */
export type Missing = { from: number; to: number };

/** Reads samples of a cleaned lead in its unit; NaN where the output has none. */
export type CleanedLead = (from: number, to: number) => Promise<Float64Array>;

export type OpenedRecord = {
  format: string;
  /** Electric leads, in the order of the file; other signals are passed through. */
  leads: LeadInfo[];
  /** Steps per second that annotations beside the record count in. */
  frameRate: number;
  /** What whoever sent the record should know; complete once its blocks were read. */
  notices: string[];
  /** Blocks of all leads in their units, NaN where a sample is missing. Every call reads from the beginning. */
  blocks(): AsyncGenerator<Float64Array[], void, void>;
  /** Writes the record with other samples in its leads into a folder. @returns the files' names */
  write(cleaned: readonly CleanedLead[], folder: string): Promise<string[]>;
};
