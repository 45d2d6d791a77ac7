/** Handler of `ecg.train`: trains a denoiser, goes on where another attempt stood, and publishes the model with its card. */
import contract from '../../shared/jobs/ecg.train.ts';
import { modelCard, statedProgress, statedValidations, trainSettings } from '../ecg/contract-names.ts';
import { finishModel } from '../ecg/training/finish.ts';
import { packState, unpackState } from '../ecg/training/state.ts';
import { trainDenoiser, type Validation } from '../ecg/training/train.ts';
import { chooseProvider } from '../runtime/index.ts';
import { PublishedTraining } from './checkpoints/published-training.ts';
import { handle } from './handler.ts';
import { openMaterial } from './inputs/ecg-material.ts';
import { publishEcgModel } from './outputs/ecg-model.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { seed } = params;
  const settings = trainSettings(params);
  const { provider } = await chooseProvider(configuration.device);
  const material = await openMaterial(context);
  const { train, validation, units, digest, leak } = material;
  const published = new PublishedTraining(context, { parent: null, corpus: digest, device: provider });
  const last = (await published.load())?.training;
  const firstStep = last?.step ?? 0;
  const on = { device: provider, threads: configuration.threads };
  let latest: Validation | null = null;
  const trained = await trainDenoiser(
    train,
    validation,
    { ...settings, ...on },
    {
      ...(last && { resume: unpackState(last) }),
      checkpoint: (take) => published.save(async () => packState(await take())),
      progress(now) {
        latest = now.validation ?? latest;
        context.progress(statedProgress(now, latest, params.steps));
      },
    },
  );
  const { weights, steps } = trained;
  const { validations, best } = statedValidations(trained.validations);
  const card = modelCard(params, material, { steps, best });
  const model = await finishModel({ network: settings.network, weights, validation, train, units, card, steps, ...on });
  const { id, manifest, parameters } = await publishEcgModel(context, model, {
    method: contract.type,
    params: { ...params, records: undefined, noises: undefined, recordings: params.records.length },
    seed,
    data_digest: digest,
    body: { best, leak },
  });
  return {
    result: {
      model: id,
      parameters,
      steps,
      first_step: firstStep,
      validations,
      best,
      protocol: params.protocol,
      leak,
      estimate_correlation: model.document.card.estimate_correlation as { before: number; after: number },
      data_digest: digest,
    },
    published: [manifest],
    metrics: { cpu_seconds: trained.cpuSeconds, steps_resumed: firstStep },
    run: { device: published.devices.join(' + '), dtype: 'float32', seed, tolerance: null },
  };
});
