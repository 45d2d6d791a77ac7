/** `model.import`: a model folder as uploaded files or in an archive, or a LoRA adapter merged into its base. */
import { z } from 'zod';
import { randomIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';
import { modelInput } from './references.ts';

const partsSchema = z
  .array(randomIdSchema('art'))
  .min(1)
  .max(1024)
  .describe('artefacts whose bytes follow each other: a file above 256 MiB comes in several');

export default defineJob({
  type: 'model.import',
  summary: 'Publish a model from uploaded files',
  version: 1,
  scope: 'jobs:write',
  example: { source: { archive: [EXAMPLE.artefact] } },
  params: z.strictObject({
    source: z.union([
      z.strictObject({
        files: z
          .array(
            z.strictObject({
              name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, 'a file name without folders'),
              parts: partsSchema,
            }),
          )
          .min(1)
          .max(256),
      }),
      z.strictObject({ archive: partsSchema.describe('a zip file, or a tar file, plain or compressed by gzip') }),
    ]),
    base: modelReferenceSchema
      .nullable()
      .default(null)
      .describe('the files are a LoRA adapter (PEFT), which is merged into this model'),
    max_bytes: z.number().int().positive().max(1e12).default(20e9).describe('what an archive may unpack to'),
    note: z.string().max(1000).default(''),
  }),
  result: z.object({
    model: z.string(),
    family: z.string(),
    parameters: z.number(),
    files: z.array(z.object({ name: z.string(), bytes: z.number() })),
    left_out: z.array(z.string()).describe('files that no model needs, pickles among them, which are never opened'),
    merged: z.number().nullable().describe('matrices that the adapter changed'),
  }),
  progress: {},
  produces: ['model'],
  models: (p) => (p.base ? [{ reference: p.base, pointer: '/base', hooks: [] }] : []),
  inputs: (p) => [
    ...(p.base ? modelInput(p.base, '/base') : []),
    ...('archive' in p.source
      ? p.source.archive.map((id, i) => ({ id, pointer: `/source/archive/${i}` }))
      : p.source.files.flatMap(({ parts }, f) =>
          parts.map((id, i) => ({ id, pointer: `/source/files/${f}/parts/${i}` })),
        )),
  ],
  estimate: () => ({ device_seconds: 60, memory_bytes: 4e9, artefact_bytes: 2e9 }),
  retention_days: 30,
});
