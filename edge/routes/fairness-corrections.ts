/** Corrections in closed form: weights, scores or moments in, corrected ones out; group labels are used and dropped. */
import { createRoute, z } from '@hono/zod-openapi';
import { correct } from '../../shared/fairness/corrections/correct.ts';
import { correctionSchema } from '../../shared/fairness/corrections/document.ts';
import { requireCorrectionFits } from '../../shared/fairness/corrections/size.ts';
import type { App } from '../environment.ts';
import { TABLE_LIMIT } from '../http/body.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';

const create = createRoute({
  ...keyedBody('fairness:compute', 'reads', TABLE_LIMIT, 'fairness.edit_layer'),
  method: 'post',
  path: '/v1/fairness/corrections',
  tags: ['fairness'],
  summary: 'Correct a head, a layer or scores at once',
  description:
    'Nothing of the request or the answer is stored, and no idempotent replay is kept. Wider layers and training: fairness.edit_layer and fairness.fit_lookahead.',
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
