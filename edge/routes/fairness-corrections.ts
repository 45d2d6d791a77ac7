/** Corrections in closed form: weights, scores or moments in, corrected ones out; group labels are used and dropped. */
import { createRoute, z } from '@hono/zod-openapi';
import { TABLE_LIMIT } from '../../shared/contracts/body-limit.ts';
import { correct } from '../../shared/fairness/corrections/correct.ts';
import { correctionSchema } from '../../shared/fairness/corrections/document.ts';
import { CORRECTION_JOB, requireCorrectionFits } from '../../shared/fairness/corrections/size.ts';
import type { App } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';

const create = createRoute({
  ...keyedBody('fairness:compute', 'reads', TABLE_LIMIT, CORRECTION_JOB),
  method: 'post',
  path: '/v1/fairness/corrections',
  tags: ['fairness'],
  summary: 'Correct a head, a layer, scores or decisions at once',
  description:
    'Nothing of the request or the answer is stored, and no idempotent replay is kept. `corrected` is false where there was nothing to correct. What is too large for the edge: upload the same body and create a job of type fairness.correct; training: fairness.edit_layer, fairness.fit_gated and fairness.fit_lookahead.',
  request: { body: jsonRequest(correctionSchema.openapi('Correction')) },
  responses: {
    200: json(z.record(z.string(), z.unknown()).openapi('Corrected'), 'What the method answers with'),
    ...problems(...KEYED, ...BODY, 'data_invalid', 'computation_too_large'),
  },
});

export default function registerFairnessCorrections(app: App): void {
  app.openapi(create, (c) => {
    const correction = c.req.valid('json');
    requireCorrectionFits(correction);
    c.header('cache-control', 'no-store');
    return c.json(correct(correction), 200);
  });
}
