/** Handler of `fairness.predict`. */
import { readFile } from 'node:fs/promises';
import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { compilePredictor } from '../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../shared/fairness/predictors/document.ts';
import { PREDICTOR_BLOB } from '../../shared/fairness/predictors/manifest.ts';
import { writeCsv } from '../../shared/formats/csv.ts';
import { requireOneOfEach } from '../../shared/formats/table.ts';
import contract from '../../shared/jobs/fairness.predict.ts';
import { openTable, tableReport } from '../fairness/table-input.ts';
import { handle } from './handler.ts';
import { fittingParts } from './outputs/fitting-parts.ts';

export default handle(contract, async ({ params, artefact, input }) => {
  const registered = input(params.predictor);
  const stored =
    registered.manifest?.body.document ?? JSON.parse(await readFile(await registered.file(PREDICTOR_BLOB), 'utf8'));
  const predictor = compilePredictor(predictorDocumentSchema.parse(stored));
  const opened = await openTable({ input }, params.table, { read: predictor.columns, text: predictor.textColumns });
  requireOneOfEach(opened.table, predictor.columns);
  const began = performance.now();
  const { scores, decisions, routed, presentGap, futureGap, unknownLevels = [] } = predictor.predict(opened.table);
  const seconds = (performance.now() - began) / 1000;
  const columns = [
    { name: 'score', values: scores },
    ...(decisions ? [{ name: 'decision', values: decisions }] : []),
    ...(routed ? [{ name: 'routed', values: routed }] : []),
    ...(presentGap ? [{ name: 'present_gap', values: presentGap }] : []),
    ...(futureGap ? [{ name: 'future_gap', values: futureGap }] : []),
  ];
  const csv = params.format === 'csv';
  const name = csv ? 'predictions.csv' : 'predictions.arrow';
  const content = csv
    ? new TextEncoder().encode(writeCsv(columns))
    : tableToIPC(tableFromArrays(Object.fromEntries(columns.map((c) => [c.name, c.values]))), { format: 'stream' })!;
  await artefact(name, csv ? 'text/csv' : 'application/vnd.apache.arrow.stream', content);
  const rate = opened.table.rows / seconds;
  const { shown, file } = await fittingParts({ artefact }, 'parts.json', {
    table: tableReport(opened, opened.table.rows),
    unknown_levels: unknownLevels,
  });
  return {
    result: {
      ...shown,
      parts_file: file,
      columns: columns.map((c) => c.name),
      artefact: name,
      rows_per_s: rate,
    },
    published: [],
    metrics: { rows: opened.table.rows, rows_per_s: rate },
    run: { device: 'cpu', dtype: 'float64', seed: null, tolerance: null },
  };
});
