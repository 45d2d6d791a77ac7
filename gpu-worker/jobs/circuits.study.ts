/**
 * Handler of `circuits.study`: trains and reads the models of each phase, then compares them. Finished phases are kept, so that the
 * next attempt, on any worker, goes on with the next; models that it needs of earlier ones are trained again, to the same weights.
 */
import { join } from 'node:path';
import { modelKey } from '../../shared/contracts/model.ts';
import contract from '../../shared/jobs/circuits.study.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import {
  compareEnds,
  nodeModel,
  Phases,
  phaseKey,
  phaseResult,
  phasesOf,
  statedStudy,
  studyReport,
  studyWording,
} from '../circuits/index.ts';
import { sweepPoints } from '../study/index.ts';
import { handle } from './handler.ts';
import { openCircuitStudy, phaseSettings } from './inputs/circuit-study.ts';
import { densely, openModel } from './inputs/model-input.ts';
import { publishCheckpoints } from './outputs/checkpoint-models.ts';
import { publishReport } from './outputs/report.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { seed } = params;
  const { threads } = configuration;
  const opened = await openModel(context, densely(params.model));
  try {
    const { graph } = nodeModel(opened.model);
    const study = await openCircuitStudy(context, opened);
    const settings = phaseSettings(params, study, opened, { threads, scratch: join(context.scratch, 'study') });
    const phases = new Phases(settings);
    const points = phasesOf(params);
    const of = points.length;
    const began = performance.now();
    const progress = (done: number) => {
      const seconds_left = done > 0 ? ((of - done) * (performance.now() - began)) / done / 1000 : 0;
      const metrics = { phases: Math.floor(done), of, seconds_left };
      context.progress({ fraction: (0.8 * done) / of, stage: 'tuning', metrics });
    };
    const { task: _task, ...asked } = params;
    const { results, resumed } = await sweepPoints({
      points: points.map((phase) => ({ phase, params: asked })),
      of: { model: opened.digest, ...study.digests },
      result: phaseResult,
      measure: ({ phase }, i) => phases.run(phase, (share) => progress(i + share)),
      checkpoints: context.checkpoint,
      progress,
    });
    const named = points.map((phase, i) => ({ phase: phaseKey(phase), result: results[i]! }));
    const { reading } = settings;
    const compared = { reading, kinds: params.transfer, edges: params.edges, seed, threads };
    const parts = await compareEnds(phases, named, compared);
    const counts = { trained: study.train.length, read: study.test.length };
    const stated = statedStudy(parts, counts);
    const wording = studyWording(params, modelKey(params.model), counts);
    const body = { ...stated, ...parts.summary, transfers: parts.transfers };
    const report = await publishReport(context, studyReport(graph, parts, wording, study.task.examples, body), {
      method: contract.type,
      params: asked,
      model: opened,
      seed,
      dataDigest: study.task.digest,
      body: { verdicts: parts.summary.verdicts },
    });
    const kept = await publishCheckpoints(context, phases, {
      opened,
      seed,
      method: contract.type,
      task: study.task.digest,
    });
    return {
      result: {
        report: await manifestId(report),
        models: kept.map(({ manifest: _manifest, ...rest }) => rest),
        ...stated,
        ...study.text,
        data_digest: study.task.digest,
      },
      published: [report, ...kept.map(({ manifest }) => manifest)],
      metrics: { phases_resumed: resumed },
      run: { device: opened.provider, dtype: 'float32', seed, tolerance: null },
    };
  } finally {
    await opened.model.release();
  }
});
