/** Activations as files: rows of one width made anywhere, in place of a model and a text. */
import { z } from 'zod';
import { longArray } from './long-array.ts';
import { randomIdSchema, reportIdSchema } from './manifest.ts';

const activationFileSchema = z.strictObject({
  artefact: z
    .union([randomIdSchema('art'), reportIdSchema])
    .describe('an uploaded safetensors, npy or Arrow file, or what activations.extract published, all its shards'),
  tensor: z
    .string()
    .min(1)
    .max(200)
    .nullable()
    .default(null)
    .describe(
      'the tensor or column that holds the rows, of our own shards the hook point; null: the only one of floats with two dimensions or more, whose last is the width',
    ),
});
export type ActivationFile = z.infer<typeof activationFileSchema>;

export const activationFilesSchema = longArray(activationFileSchema)
  .min(1)
  .max(4096)
  .nullable()
  .default(null)
  .describe('rows of one width in files, in place of the model and what it reads; their order is part of the work');

type Given = { activations: readonly ActivationFile[] | null };
type Refuse = (field: string, message: string) => void;

/**
 * Refuses params with both files and what they stand in place of, or with neither.
 * @param asked the fields that stand for a model and its text; `idle` those that mean nothing without a model
 */
export function requireOneSource<P extends Given>(
  params: P,
  { asked, idle = [] }: { asked: readonly (keyof P & string)[]; idle?: readonly (keyof P & string)[] },
  refuse: Refuse,
): void {
  if (params.activations === null) {
    for (const name of asked.filter((field) => params[field] === null)) {
      refuse(name, `give ${asked.join(', ')}, or 'activations' in their place`);
    }
    return;
  }
  for (const name of asked.filter((field) => params[field] !== null)) {
    refuse(name, `'activations' stands in its place: leave it out`);
  }
  for (const name of idle.filter((field) => isSet(params[field]))) {
    refuse(name, 'it needs a model, and activations in files have none: leave it out');
  }
}

const isSet = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : value !== null);

export const fileRowsSchema = z.object({
  files: z.number(),
  sent: z.number(),
  used: z.number(),
  left_out: z
    .partialRecord(z.enum(['limit', 'held_out']), z.number())
    .describe(
      'by reason: limit (beyond what was asked for; what is used was drawn by the seed), held_out (for evaluation)',
    ),
});
export type FileRows = z.infer<typeof fileRowsSchema>;

/** Rows of activations' width for an estimate, where nobody knows the files yet: that of GPT-2 small. */
const ASSUMED_WIDTH = 768;

/** What the manifests among the inputs say of the rows: their width, else assumed, and how many; any number for files of others. */
export function knownRows(published: readonly { kind: string; body: Record<string, unknown> }[]): {
  width: number;
  count: number;
} {
  const width = published
    .map(({ kind, body }) => (kind === 'sae' ? body.inputs : body.width))
    .find((own) => typeof own === 'number');
  const counts = published.flatMap(({ kind, body }) => (kind === 'report' ? [Number(body.tokens)] : []));
  const count = counts.reduce((sum, own) => sum + own, 0);
  return {
    width: typeof width === 'number' ? width : ASSUMED_WIDTH,
    count: counts.length > 0 && Number.isFinite(count) ? count : Number.POSITIVE_INFINITY,
  };
}
