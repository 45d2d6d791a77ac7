/** `POST /v1/activations`: a small `activations.read` whose client waits for the rows. */
import { z } from 'zod';
import activationsRead from '../jobs/activations.read.ts';
import { requestedModelSchema } from './model-name.ts';

export const activationsRequestSchema = activationsRead.params.extend({
  model: requestedModelSchema,
  format: z
    .enum(['json', 'safetensors'])
    .default('json')
    .describe(
      'safetensors: the tensors alone, as activations.extract writes them; Location names the job with the rest',
    ),
});

const values = z.array(z.array(z.number()));
export const activationsSchema = activationsRead.result.omit({ hooks: true, patterns: true }).extend({
  job: z.string(),
  hooks: z.record(z.string(), z.object({ width: z.number(), values: values.describe('one list for each row') })),
  patterns: z.array(
    z.object({ document: z.number(), layer: z.number(), heads: z.array(values).describe('query by key') }),
  ),
});
