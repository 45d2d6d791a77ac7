/** Handler of `fairness.audit`. */
import {
  type AuditColumnsInput,
  type AuditOptionsDocument,
  auditDocument,
} from '../../shared/fairness/audit/document.ts';
import { type Grouping, grouping, intersection } from '../../shared/fairness/audit/groups.ts';
import { distributionPlot, futureGapPlot, gapPlot, reliabilityPlot } from '../../shared/fairness/audit/plots.ts';
import { columnOf, columnTexts } from '../../shared/formats/table.ts';
import contract from '../../shared/jobs/fairness.audit.ts';
import { publishedReport } from '../fairness/publish.ts';
import { binaryOf, completeRows, numbersOf, openTable, tableReport } from '../fairness/table-input.ts';
import { handle } from './handler.ts';
import { fittingParts } from './outputs/fitting-parts.ts';

export default handle(contract, async ({ params, artefact, progress, input }) => {
  const { table: source, prediction, before, label, groups, routing, counterfactual, futures, ...rest } = params;
  const { weights, controls, consistency, ...options } = rest;
  const needed = [
    prediction,
    ...groups,
    ...controls,
    ...(consistency?.columns ?? []),
    ...[before, label, weights, counterfactual].filter((name): name is string => name !== null),
    ...(routing ? [routing.routed, ...routing.heads] : []),
    ...(futures ? Object.values(futures) : []),
  ];
  const text = [...groups, ...controls, ...(label !== null && options.positive !== null ? [label] : [])];
  const opened = await openTable({ input }, source, { read: needed, text });
  const table = completeRows(opened.table, needed);
  const column = (name: string): Float64Array => numbersOf(table, name);
  const grouped = (name: string): Grouping => grouping(name, columnTexts(columnOf(table, name)));
  progress({ fraction: 0.05, stage: 'measuring', metrics: {} });
  const audited: AuditColumnsInput = {
    predictions: column(prediction),
    ...(label !== null && {
      labels: options.positive === null ? column(label) : binaryOf(table, label, options.positive),
    }),
    groups: groups.map(grouped),
    ...(weights !== null && { weights: column(weights) }),
    ...(controls.length > 0 && { control: intersection(controls.map(grouped)) }),
    ...(consistency && {
      consistency: { features: consistency.columns.map(column), neighbours: consistency.neighbours },
    }),
    ...(routing && { routing: { routed: column(routing.routed), heads: routing.heads.map(column) } }),
    ...(counterfactual !== null && { counterfactual: column(counterfactual) }),
    ...(futures && {
      futures: {
        present: column(futures.present),
        presentOther: column(futures.present_counterfactual),
        future: column(futures.future),
        futureOther: column(futures.future_counterfactual),
      },
    }),
  };
  const report = auditDocument(audited, options as AuditOptionsDocument);
  const plots: Record<string, string> = {};
  audited.groups.forEach((group, k) => {
    plots[`distributions-${k}.svg`] = distributionPlot(
      group,
      audited.predictions,
      before === null ? undefined : column(before),
    );
  });
  report.attributes.forEach((attribute, k) => {
    plots[`gaps-${k}.svg`] = gapPlot(attribute.attribute, attribute.overall);
    if (attribute.calibration) {
      plots[`calibration-${k}.svg`] = reliabilityPlot(attribute.attribute, attribute.calibration);
    }
  });
  if (report.lookahead) {
    const [present, future] = [report.lookahead.present_gap.estimate!, report.lookahead.future_gap.estimate!];
    plots['future-gap.svg'] = futureGapPlot(present, [{ rho: 1 - future / present, gap: future }]);
  }
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const blobs = [await artefact('report.json', 'application/json', bytes(JSON.stringify(report)))];
  for (const [name, svg] of Object.entries(plots)) {
    blobs.push(await artefact(name, 'image/svg+xml', bytes(svg)));
  }
  const overall = Object.fromEntries(report.attributes.map((a) => [a.attribute, a.overall]));
  const ratios = Object.fromEntries(report.attributes.map((a) => [a.attribute, a.ratios]));
  const published = await publishedReport(
    { method: 'fairness.audit', params: { ...options }, seed: params.seed, dataDigest: opened.digest },
    blobs,
    { rows: report.rows, method: report.method, overall, ratios },
  );
  const { shown, file } = await fittingParts({ artefact }, 'parts.json', {
    table: tableReport(opened, table.rows),
    overall,
    ratios,
  });
  return {
    result: { ...shown, parts_file: file, report: published.id, plots: Object.keys(plots) },
    published: [published.manifest],
    metrics: { rows: table.rows },
    run: { device: 'cpu', dtype: 'float64', seed: params.seed, tolerance: null },
  };
});
