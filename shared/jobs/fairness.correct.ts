/** `fairness.correct`: a closed-form correction of any size, by the same document that the edge takes. */
import { z } from 'zod';
import { predictorIdSchema, randomIdSchema } from '../contracts/manifest.ts';
import { correctionSchema } from '../fairness/corrections/document.ts';
import { defineJob } from './contract.ts';

export default defineJob({
  type: 'fairness.correct',
  summary: 'Carry out a correction that is too large for the edge',
  version: 1,
  scope: 'jobs:write',
  example: {
    correction: { method: 'barycentre', scores: [0.2, 0.7, 0.4, 0.9], groups: ['a', 'a', 'b', 'b'] },
  },
  params: z.strictObject({
    correction: z.union([
      z
        .strictObject({ artefact: randomIdSchema('art') })
        .describe('an uploaded JSON file: the body that POST /v1/fairness/corrections would take'),
      correctionSchema,
    ]),
  }),
  result: z.object({
    method: z.string(),
    artefact: z.string().describe('name of the artefact with the answer of the method, as JSON'),
    predictor: predictorIdSchema
      .nullable()
      .describe('where the answer holds a predictor that needs no table to be one'),
    corrected: z.boolean().describe('false: the answer is what was sent, there was nothing to correct'),
  }),
  progress: {},
  produces: ['predictor'],
  models: () => [],
  inputs: (p) => ('artefact' in p.correction ? [{ id: p.correction.artefact, pointer: '/correction/artefact' }] : []),
  estimate: () => ({ device_seconds: 10, memory_bytes: 2e9, artefact_bytes: 5e7 }),
  retention_days: 30,
  sensitive_inputs: true,
});
