/** `sae.encode`: which latents of an SAE fire on texts, token by token. */
import { z } from 'zod';
import { activationFilesSchema, fileRowsSchema, knownRows, requireOneSource } from '../contracts/activation-files.ts';
import { reportIdSchema, saeIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { packingSchema, textAccountSchema, windowSchema } from '../contracts/text-use.ts';
import { PASS_POSITIONS } from '../models/pass-size.ts';
import { defineJob } from './contract.ts';
import { floats, NO_MODEL, saeCodes, saeLatents, saeWeights, textTokens, tokenWork } from './costs.ts';
import { EXAMPLE } from './example-ids.ts';
import { activationInputs, modelInput } from './references.ts';

/** Rows of files that are encoded at a time, and codes after which a shard is closed, about. */
export const [BLOCK_ROWS, SHARD_CODES] = [4096, 4e6];
/** Rows of files whose codes stand in the result itself. */
export const FIRST_ROWS = 256;

const codesSchema = z
  .array(z.object({ latent: z.number(), code: z.number() }))
  .describe('with their signs, the largest magnitude first');
const errorSchema = z.number().describe('|x - x_hat|^2 / |x|^2');

export default defineJob({
  type: 'sae.encode',
  summary: 'Encode texts with a sparse autoencoder',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, sae: EXAMPLE.sae, texts: ['the weather is glad'] },
  params: z
    .strictObject({
      model: modelReferenceSchema.nullable().default(null),
      sae: saeIdSchema,
      texts: z.array(z.string().min(1).max(20_000)).min(1).max(256).nullable().default(null),
      activations: activationFilesSchema,
      packing: packingSchema.default('documents'),
      context: windowSchema(1),
      strongest: z.number().int().min(1).max(1024).default(32).describe('codes per token, by magnitude, in the result'),
      allow_mismatch: z.boolean().default(false),
    })
    .superRefine((params, context) =>
      requireOneSource(params, { asked: ['model', 'texts'] }, (field, message) =>
        context.addIssue({ code: 'custom', path: [field], message }),
      ),
    ),
  result: z.object({
    texts: z.array(
      z.object({
        document: z.number().describe('number of the text, from 0'),
        tokens: z.array(
          z.object({
            id: z.number(),
            position: z.number().describe('among the tokens of its text, special ones included, from 0'),
            text: z.string(),
            codes: codesSchema,
            error: errorSchema,
          }),
        ),
      }),
    ),
    texts_file: z
      .string()
      .nullable()
      .describe(
        'where the tokens do not all fit into a result: the artefact of JSON lines that holds each token with its `document`; above stand as many of the first as fit',
      ),
    text: textAccountSchema.nullable().describe('of the texts; null for activations in files'),
    rows: fileRowsSchema.nullable().describe('of activations in files; null for texts'),
    first_rows: z
      .array(z.object({ row: z.number(), codes: codesSchema, error: errorSchema }))
      .describe(
        `of activations in files: the first ${FIRST_ROWS} rows, or as many as fit into a result; all of them are in the report's shards`,
      ),
    shards: z.number().describe('files of codes in the report'),
    report: reportIdSchema
      .nullable()
      .describe(
        'of activations in files: safetensors shards with every code that is not 0, in rows as of a sparse matrix: starts [rows + 1] (int64), latents and codes [entries], errors [rows]',
      ),
    mismatch: z.array(z.string()).describe('what the SAE was not trained for: model, hook'),
  }),
  progress: { texts: 'texts done' },
  produces: ['report'],
  models: (p) => (p.model ? [{ reference: p.model, pointer: '/model', hooks: [] }] : []),
  inputs: (p) => [
    ...(p.model ? modelInput(p.model) : []),
    { id: p.sae, pointer: '/sae' },
    ...activationInputs(p.activations),
  ],
  work(p, read, published) {
    const rows = p.activations && knownRows(published);
    const model = rows ? { ...NO_MODEL, width: rows.width } : read;
    const lengths = (p.texts ?? []).map((text) => textTokens(text.length, model));
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const length = Math.min(p.context, model.context);
    const longest = Math.min(length, Math.max(0, ...lengths));
    // So many windows go through the model and the encoder at once, or so many rows through the encoder.
    const pass = longest * Math.min(lengths.length, Math.max(1, Math.floor(PASS_POSITIONS / length)));
    const encoded = rows ? Math.min(rows.count, BLOCK_ROWS) : pass;
    const weights = saeWeights(published);
    return {
      seconds: {
        start: 1,
        weights_loaded: model.parameters + weights,
        texts: lengths.length,
        multiply_adds: tokens * (tokenWork(model, longest) + weights),
      },
      memory: {
        process: 1,
        weights: floats(model.parameters),
        sae_weights: floats(weights),
        values: rows ? 0 : floats(pass * model.width),
        codes: tokens * p.strongest,
        latents: floats(encoded * saeLatents(published)),
        file_values: rows ? floats(encoded * model.width) : 0,
        file_codes: rows ? floats(Math.min(rows.count * (saeCodes(published) || 1), SHARD_CODES)) : 0,
      },
      artefact_bytes: 0,
    };
  },
  retention_days: 7,
});
