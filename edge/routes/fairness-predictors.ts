/** Fair predictors: immutable, registered once, run over small tables at once. */
import { createRoute, z } from '@hono/zod-openapi';
import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { predictorIdSchema, predictorSchema } from '../../shared/contracts/manifest.ts';
import { predictionsSchema, predictionTableSchema } from '../../shared/contracts/predictor.ts';
import { csvQuerySchema } from '../../shared/contracts/table.ts';
import { predictionMs, requireFits } from '../../shared/fairness/costs.ts';
import type { Prediction } from '../../shared/fairness/predictors/compiled.ts';
import { predictorDocumentSchema } from '../../shared/fairness/predictors/document.ts';
import { writeCsv } from '../../shared/formats/csv.ts';
import { tableFromColumns } from '../../shared/formats/json-table.ts';
import { tableError } from '../../shared/formats/table.ts';
import type { App } from '../environment.ts';
import { FIT_INSTEAD, loadPredictor, registerPredictor } from '../fairness/predictors.ts';
import { access } from '../http/access.ts';
import { BODY, json, jsonRequest, KEYED, keyed, keyedBody, problems } from '../http/declaration.ts';
import { ARROW_TYPES, bodyMs, CSV_TYPE, readTableBody, tableBody, tableFormat } from '../http/table-body.ts';
import { readPublished } from '../published/reading.ts';
import { publishedCaching, publishedView } from '../published/view.ts';

const tags = ['fairness'];
const idParams = z.object({ id: predictorIdSchema });
const predictorBody = predictorSchema.openapi('Predictor');
const documentSchema = predictorDocumentSchema.openapi('PredictorDocument');
const predictionsBody = predictionsSchema.openapi('Predictions');
const columnsBody = predictionTableSchema.openapi('PredictionTable');
const text = { schema: z.string() };
const binary = { schema: z.string().openapi({ format: 'binary' }) };

const create = createRoute({
  ...keyedBody('fairness:compute', 'writes', undefined, { advice: FIT_INSTEAD }),
  method: 'post',
  path: '/v1/fairness/predictors',
  tags,
  summary: 'Register an immutable predictor',
  description: 'The id is the digest of the document: sending it again changes nothing.',
  request: { body: jsonRequest(documentSchema) },
  responses: { 201: json(predictorBody, 'Registered'), ...problems(...KEYED, ...BODY, 'data_invalid') },
});
const read = createRoute({
  ...keyed('fairness:compute'),
  method: 'get',
  path: '/v1/fairness/predictors/{id}',
  tags,
  summary: 'Read a predictor',
  request: { params: idParams },
  responses: { 200: json(predictorBody, 'The predictor'), ...problems(...KEYED, 'not_found') },
});
const predict = createRoute({
  security: [{ bearer: ['fairness:compute'] }],
  middleware: [access('fairness:compute', 'reads'), tableBody],
  method: 'post',
  path: '/v1/fairness/predictors/{id}/predictions',
  tags,
  summary: 'Predict for the rows of a small table',
  description:
    'Only columns that the predictor names are read. Group labels are needed by lookahead predictors alone. Parameters of the query say how a CSV body is read; `names` and `missing` may be repeated. Nothing of the request or the answer is stored. Errors in a CSV or Arrow body point at `/lines/N`, at `/columns/NAME/ROW`, or at the body as a whole (an empty pointer). The answer is JSON, or CSV or Arrow where `Accept` asks for it.',
  request: {
    params: idParams,
    query: csvQuerySchema,
    body: {
      // Required all the same: `tableBody` sees to it. Said here, it would hold CSV to the JSON schema.
      required: false,
      content: {
        'application/json': {
          schema: columnsBody,
        },
        [CSV_TYPE]: text,
        [ARROW_TYPES[0]]: binary,
        [ARROW_TYPES[1]]: binary,
      },
    },
  },
  responses: {
    200: {
      description: 'One score per row, in order',
      content: { 'application/json': { schema: predictionsBody }, [CSV_TYPE]: text, [ARROW_TYPES[0]]: binary },
    },
    ...problems(...KEYED, ...BODY, 'not_found', 'data_invalid', 'computation_too_large', 'parameter_invalid'),
  },
});

/** Columns of an answer as a table. */
const answerColumns = (p: Prediction): { name: string; values: Float64Array | Uint8Array }[] => [
  { name: 'score', values: p.scores },
  ...(p.decisions ? [{ name: 'decision', values: p.decisions }] : []),
  ...(p.routed ? [{ name: 'routed', values: p.routed }] : []),
  ...(p.presentGap ? [{ name: 'present_gap', values: p.presentGap }] : []),
  ...(p.futureGap ? [{ name: 'future_gap', values: p.futureGap }] : []),
];

export default function registerFairnessPredictors(app: App): void {
  app.openapi(create, async (c) => {
    const predictor = await registerPredictor(c.env, c.get('key').tenant, c.req.valid('json'), Date.now());
    c.header('location', `/v1/fairness/predictors/${predictor.id}`);
    return c.json(publishedView(predictor), 201);
  });

  app.openapi(read, async (c) => {
    const predictor = await readPublished(c.env, c.get('key').tenant, 'predictor', c.req.valid('param').id);
    for (const [name, value] of publishedCaching(predictor)) {
      c.header(name, value);
    }
    return c.json(publishedView(predictor), 200);
  });

  app.openapi(predict, async (c) => {
    const { id } = c.req.valid('param');
    const predictor = await loadPredictor(c.env, await readPublished(c.env, c.get('key').tenant, 'predictor', id));
    const bytes = c.get('body');
    const format = tableFormat(c.req.header('content-type'))!;
    const reading = bodyMs(format, bytes);
    requireFits(reading, 'fairness.predict');
    const wantedColumns = { read: predictor.columns, text: predictor.textColumns };
    const table =
      format === 'json'
        ? tableFromColumns((c.req.valid('json') as z.output<typeof columnsBody>).columns, {}, wantedColumns)
        : readTableBody(format, bytes, c.req.valid('query'), wantedColumns);
    if (table.rows === 0) {
      throw tableError('table_empty', '/columns', 'the table has no rows');
    }
    requireFits(reading + predictionMs(table.rows, predictor.features, predictor.cost), 'fairness.predict');
    const prediction = predictor.predict(table);
    c.header('cache-control', 'no-store');
    const wanted = tableFormat((c.req.header('accept') ?? '').split(',')[0]);
    if (wanted === 'csv') {
      return c.text(writeCsv(answerColumns(prediction)), 200, { 'content-type': CSV_TYPE });
    }
    if (wanted === 'arrow') {
      const columns = Object.fromEntries(answerColumns(prediction).map(({ name, values }) => [name, values]));
      const ipc = tableToIPC(tableFromArrays(columns), { format: 'stream' })!;
      return c.body(ipc as Uint8Array<ArrayBuffer>, 200, { 'content-type': ARROW_TYPES[0] });
    }
    const { scores, decisions, routed, presentGap, futureGap, unknownLevels } = prediction;
    return c.json(
      {
        predictor: id,
        rows: table.rows,
        scores: [...scores],
        ...(decisions && { decisions: [...decisions] }),
        ...(routed && { routed: [...routed] }),
        ...(presentGap && { present_gap: [...presentGap] }),
        ...(futureGap && { future_gap: [...futureGap] }),
        ...(unknownLevels?.length && { unknown_levels: unknownLevels }),
      },
      200,
    );
  });
}
