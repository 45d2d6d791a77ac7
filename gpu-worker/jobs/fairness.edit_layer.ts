/** Handler of `fairness.edit_layer`. */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { SextantError } from '../../shared/contracts/problem.ts';
import { frontier } from '../../shared/fairness/audit/frontier.ts';
import { eligibleGroups, grouping } from '../../shared/fairness/audit/groups.ts';
import { distributionPlot, frontierPlot } from '../../shared/fairness/audit/plots.ts';
import { ksNoiseFloor } from '../../shared/fairness/audit/report.ts';
import { applyBarycentre, fitBarycentre } from '../../shared/fairness/barycentre.ts';
import { networkOf } from '../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../shared/fairness/predictors/document.ts';
import { encodeTable, featureCount, learnInputs } from '../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../shared/fairness/predictors/input.ts';
import { PREDICTOR_BLOB } from '../../shared/fairness/predictors/manifest.ts';
import { type DenseNetwork, forwardNetwork } from '../../shared/fairness/predictors/network.ts';
import { columnOf, columnTexts } from '../../shared/formats/table.ts';
import type { ParamsOf } from '../../shared/jobs/contract.ts';
import contract, { type fairPointSchema } from '../../shared/jobs/fairness.edit_layer.ts';
import { type GapMetrics, gapMetrics } from '../fairness/gap-metrics.ts';
import { LayerEditor } from '../fairness/layer-editing.ts';
import { importNetwork } from '../fairness/network-import.ts';
import { trainNetwork } from '../fairness/network-training.ts';
import { importOnnxNetwork } from '../fairness/onnx-import.ts';
import { networkDocument, publishedPredictor, requirePublishable } from '../fairness/publish.ts';
import { pick, pickRows, type Rows, splitRows } from '../fairness/rows.ts';
import { completeRows, numbersOf, openTable, tableReport, takeRows } from '../fairness/table-input.ts';
import { handle, type JobContext } from './handler.ts';

type Params = ParamsOf<typeof contract>;
type Point = z.output<typeof fairPointSchema>;
type Part = { rows: Rows; codes: Int32Array };

const shown = (m: GapMetrics) => ({
  mse: m.mse,
  mae: m.mae,
  ks: m.ks,
  w1: m.w1,
  mean_gap: m.meanGap,
  variance_gap: m.varianceGap,
});

/** The network and the inputs it reads: trained here, or imported. */
async function networkFor(
  context: JobContext<Params>,
  inputs: InputEncoding[],
  train: Rows,
): Promise<{ network: DenseNetwork; inputs: InputEncoding[]; device: string }> {
  const { params, progress } = context;
  const { network: how } = params;
  if ('hidden' in how) {
    const { network, device } = await trainNetwork(train, {
      hidden: how.hidden,
      epochs: how.epochs,
      batch: how.batch,
      rate: how.learning_rate,
      decay: how.decay,
      seed: params.seed,
      threads: context.configuration.threads,
      provider: context.configuration.device,
      onEpoch: (epoch, loss) =>
        progress({
          fraction: (0.6 * (epoch + 1)) / how.epochs,
          stage: 'training',
          metrics: { epoch: epoch + 1, loss },
        }),
    });
    return { network, inputs, device };
  }
  if ('safetensors' in how || 'onnx' in how) {
    const id = 'onnx' in how ? how.onnx : how.safetensors;
    const input = context.input(id);
    const blob = input.blobs[0];
    if (!blob) throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
    const bytes = new Uint8Array(await readFile(await input.file(blob.name)));
    const network = 'onnx' in how ? importOnnxNetwork(bytes) : importNetwork(bytes);
    requirePublishable(network);
    if (network[0]!.inputs !== featureCount(inputs)) {
      throw new SextantError(
        'data_invalid',
        `the network takes ${network[0]!.inputs} features, the table gives ${featureCount(inputs)}`,
      );
    }
    return { network, inputs, device: 'cpu' };
  }
  const input = context.input(how.predictor);
  const stored = input.manifest?.body.document ?? JSON.parse(await readFile(await input.file(PREDICTOR_BLOB), 'utf8'));
  const document = predictorDocumentSchema.parse(stored);
  if (document.kind !== 'network')
    throw new SextantError('data_invalid', `${how.predictor} is a ${document.kind} predictor; a network is needed`);
  return { network: networkOf(document), inputs: document.inputs, device: 'cpu' };
}

export default handle(contract, async (context) => {
  const { params, progress } = context;
  const { features } = params;
  const opened = await openTable(context, params.table);
  const table = completeRows(opened.table, [
    params.target,
    params.group,
    ...(features.missing === 'drop' ? features.columns : []),
  ]);
  const labels = grouping(params.group, columnTexts(columnOf(table, params.group)));
  const eligible = eligibleGroups(labels, 20, 16);
  const kept = takeRows(table, eligible.rows.slice().sort());
  const codes = grouping(params.group, columnTexts(columnOf(kept, params.group)));
  const groups = codes.levels.length;
  const target = numbersOf(kept, params.target);
  const parts = splitRows(
    kept.rows,
    params.split.map((share) => share / params.split.reduce((a, b) => a + b, 0)),
    params.seed,
  );
  const learned = learnInputs(takeRows(kept, parts[0]!), features.columns, {
    categorical: features.categorical,
    dropFirst: features.drop_first,
  });
  const partsWith = (inputs: InputEncoding[]): [Part, Part, Part] => {
    const all: Rows = { x: encodeTable(kept, inputs), y: target, d: featureCount(inputs) };
    return parts.map((rows) => ({ rows: pickRows(all, rows), codes: Int32Array.from(pick(codes.codes, rows)) })) as [
      Part,
      Part,
      Part,
    ];
  };
  const { network, inputs, device } = await networkFor(context, learned, partsWith(learned)[0].rows);
  const [train, validation, test] = partsWith(inputs);

  const scoresOf = (net: DenseNetwork, { rows }: Part): Float64Array => forwardNetwork(net, rows.x, rows.y.length);
  const measure = (scores: Float64Array, { rows, codes: own }: Part) => shown(gapMetrics(scores, rows.y, own, groups));
  const point = (method: string, net: DenseNetwork, settings: Partial<Point> = {}): Point => ({
    method,
    c1: null,
    c2: null,
    refit: null,
    ...settings,
    validation: measure(scoresOf(net, validation), validation),
    test: measure(scoresOf(net, test), test),
  });
  const points: Point[] = [point('none', network)];
  const networks: (DenseNetwork | null)[] = [network];
  const editor = new LayerEditor(network, params.layer ?? network.length - 2, train.rows, train.codes, groups);
  const settings = params.c2
    .flatMap((c2) => params.c1.map((c1) => ({ c1, c2 })))
    .filter(({ c1, c2 }) => c1 > 1 || c2 > 1);
  for (const [at, { c1, c2 }] of settings.entries()) {
    const { network: edited } = editor.edit({ c1, c2, refit: params.refit, covarianceAt: params.covariance_at });
    points.push(point('singular_values', edited, { c1, c2, refit: params.refit }));
    networks.push(edited);
    progress({ fraction: 0.6 + (0.35 * (at + 1)) / settings.length, stage: 'editing', metrics: { setting: at + 1 } });
  }
  if (groups === 2) {
    for (const tau of [0.5, 0.25, 0]) {
      const edited = editor.scalarHead(tau);
      points.push(point(`scalar_head tau=${tau}`, edited));
      networks.push(edited);
    }
  }
  const base = [train, validation, test].map((part) => scoresOf(network, part)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const fitted = fitBarycentre(base[0], train.codes, groups);
  const mapped = [validation, test].map((part, k) => measure(applyBarycentre(fitted, base[k + 1]!, part.codes), part));
  points.push({
    method: 'barycentre with the true group',
    c1: null,
    c2: null,
    refit: null,
    validation: mapped[0]!,
    test: mapped[1]!,
  });
  networks.push(null);

  const limit = points[0]!.validation.mse * (1 + params.error_allowance);
  const publishable = points.map((_, i) => i).filter((i) => networks[i] && points[i]!.validation.mse <= limit);
  const chosen = publishable.reduce(
    (best, i) => (points[i]!.validation.ks < points[best]!.validation.ks ? i : best),
    0,
  );
  const origin = {
    method: 'fairness.edit_layer',
    params: { c1: points[chosen]!.c1, c2: points[chosen]!.c2, method: points[chosen]!.method, layer: editor.layer },
    seed: params.seed,
    dataDigest: opened.digest,
  };
  const published = await publishedPredictor(networkDocument(networks[chosen]!, inputs), origin, context.artefact);
  const counts = codes.levels.map((level, g) => ({
    level,
    count: codes.codes.reduce((sum, code) => sum + Number(code === g), 0),
  }));
  const testCounts = codes.levels
    .map((_, g) => test.codes.reduce((sum, code) => sum + Number(code === g), 0))
    .sort((a, b) => b - a);
  const best = frontier(points.map((p) => ({ error: p.validation.mse, unfairness: p.validation.ks })));
  const label = (p: Point): string => (p.c1 === null ? p.method : `c1 = ${p.c1}, c2 = ${p.c2}`);
  const svg = (name: string, text: string) => context.artefact(name, 'image/svg+xml', new TextEncoder().encode(text));
  const swept = points.map((p) => ({ error: p.validation.mse, unfairness: p.validation.ks, label: label(p) }));
  await svg('frontier.svg', frontierPlot(swept, best, chosen));
  await svg(
    'distributions.svg',
    distributionPlot({ ...codes, codes: test.codes }, scoresOf(networks[chosen]!, test), base[2]),
  );
  const { test: after } = points[chosen]!;
  return {
    result: {
      table: tableReport(opened, kept.rows),
      groups: counts,
      inputs,
      points,
      frontier: best,
      chosen,
      ks_noise_floor: ksNoiseFloor(testCounts[0]!, testCounts[1]!),
      predictor: published.id,
    },
    published: [published.manifest],
    metrics: { mse: after.mse, ks: after.ks, mse_before: points[0]!.test.mse, ks_before: points[0]!.test.ks },
    run: { device, dtype: 'float32', seed: params.seed, tolerance: null },
  };
});
