/** Handler of `circuits.find`: a task's pairs through a model, to the circuit that carries it. */
import { modelKey } from '../../shared/contracts/model.ts';
import contract from '../../shared/jobs/circuits.find.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { besideBase, findCircuit, foundReport, methodWords, nodeModel, TaskRuns } from '../circuits/index.ts';
import { handle } from './handler.ts';
import { openBaseCircuit } from './inputs/base-circuit.ts';
import { openCircuitTask, requirePositions } from './inputs/circuit-task.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { publishReport } from './outputs/report.ts';

/** Effects in the result; the report has all. */
const SHOWN = 20;

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { threads } = configuration;
  const opened = await openModel(context, densely(params.model));
  try {
    const nodes = nodeModel(opened.model);
    const task = await openCircuitTask(context, params.task, opened.model, params.bos);
    requirePositions(task.pairs, params.positions);
    const base = params.base === null ? null : await openBaseCircuit(context, params.base, task.digest, nodes);
    const runs = new TaskRuns({ ...params, nodes, pairs: task.pairs, threads });
    const began = performance.now();
    const progress = (stage: string, done: number, of: number) => {
      const seconds_left = done > 0 ? ((of - done) * (performance.now() - began)) / done / 1000 : 0;
      const fraction = stage === 'scoring' ? (0.7 * done) / of : 0.7 + (0.28 * done) / of;
      context.progress({ fraction, stage, metrics: { done, of, seconds_left } });
    };
    const { found, beside } = await (async () => {
      try {
        const circuit = await findCircuit(runs, { ...params, threads }, progress);
        return { found: circuit, beside: base && (await besideBase(runs, circuit.circuit, base, params.seed)) };
      } finally {
        await runs.release();
      }
    })();
    const { circuit: _circuit, scores: _scores, effects, ...figures } = found;
    const all_edges = nodes.graph.edgeCount;
    const measured = { ...figures, ablation: params.ablation, all_edges, base: beside, data_digest: task.digest };
    const largest = effects && [...effects].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, SHOWN);
    const { task: _task, ...rest } = params;
    const report = await publishReport(
      context,
      foundReport(
        nodes.graph,
        found,
        {
          model: modelKey(params.model),
          metric: params.metric.replace('_', ' '),
          method: methodWords(params.method),
          ablation: params.ablation.replace('_', ' '),
          positions: params.positions === null ? 'all positions' : params.positions.join(', '),
        },
        task.examples,
        base && beside && { circuit: base, ...beside },
        { ...measured, effects, examples: task.examples },
      ),
      {
        method: contract.type,
        params: rest,
        model: opened,
        seed: params.seed,
        dataDigest: task.digest,
        body: { edges: found.edges, nodes: found.nodes, faithfulness: found.faithfulness },
      },
    );
    return {
      result: { report: await manifestId(report), ...measured, effects: largest },
      published: [report],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await opened.model.release();
  }
});
