/** Handler of `ecg.train`: trains a denoiser, goes on where another attempt stood, and publishes the model with its card. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import contract from '../../shared/jobs/ecg.train.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { conditionsOf } from '../ecg/denoise/context.ts';
import { ECG_FAMILY, parameterCount, writeEcgModel } from '../ecg/model/document.ts';
import { readNetwork, standardNetwork } from '../ecg/network/configuration.ts';
import { finishModel } from '../ecg/training/finish.ts';
import { packState, unpackState } from '../ecg/training/state.ts';
import { trainDenoiser, type Validation } from '../ecg/training/train.ts';
import { chooseProvider } from '../runtime/index.ts';
import { PublishedTraining } from './checkpoints/published-training.ts';
import { handle } from './handler.ts';
import { openMaterial } from './inputs/ecg-material.ts';
import { publishFolder } from './outputs/model-artefact.ts';

export default handle(contract, async (context) => {
  const { params, configuration } = context;
  const { depth, kernels, embed, separate } = params;
  const network = readNetwork(standardNetwork({ depth, kernels, embed, separate, conditions: conditionsOf(2) }));
  const { provider } = await chooseProvider(configuration.device);
  const { train, validation, units, digest, leak } = await openMaterial(context);
  const published = new PublishedTraining(context, { parent: null, corpus: digest, device: provider });
  const last = await published.load();
  const firstStep = last?.step ?? 0;
  const { steps, batch, seed, levels, mixing, patience, every } = params;
  const settings = {
    network,
    steps,
    batch,
    seed,
    levels,
    mixing,
    patience,
    every,
    rate: params.learning_rate,
    cooldown: [],
  };
  const on = { device: provider, threads: configuration.threads };
  let found: Validation | null = null;
  const trained = await trainDenoiser(
    train,
    validation,
    { ...settings, ...on },
    {
      ...(last && { resume: unpackState(last) }),
      checkpoint: (take) => published.save(async () => packState(await take())),
      progress({ step, loss, validation: latest, secondsLeft }) {
        found = latest ?? found;
        context.progress({
          fraction: (0.9 * step) / steps,
          stage: 'training',
          metrics: { loss, snr_in: found?.snrIn ?? null, snr_out: found?.snrOut ?? null, seconds_left: secondsLeft },
        });
      },
    },
  );
  const validations = trained.validations.map(({ step, snrIn, snrOut }) => ({ step, snr_in: snrIn, snr_out: snrOut }));
  const best = validations.reduce<(typeof validations)[number] | null>(
    (top, one) => (top && top.snr_out >= one.snr_out ? top : one),
    null,
  );
  const card = {
    not_a_medical_device: 'This model is not a medical device. Look at the recording as it came.',
    data:
      params.records.length > 0
        ? `${params.records.length} recordings`
        : 'a generator: five waves a beat, never seen a patient',
    split: {
      protocol: params.protocol,
      train: train.records.map(({ name }) => name),
      validation: validation.records.map(({ name }) => name),
    },
    leak,
    training: { steps: trained.steps, batch, rate: params.learning_rate, levels_db: levels, seed, validation: best },
  };
  const model = await finishModel({
    network,
    weights: trained.weights,
    validation,
    train,
    units,
    card,
    steps: trained.steps,
    ...on,
  });
  const folder = join(context.scratch, 'trained');
  await mkdir(folder, { recursive: true });
  await writeEcgModel(folder, model);
  const parameters = parameterCount(model.weights);
  const manifest = await publishFolder(context, folder, {
    method: contract.type,
    params: { ...params, records: undefined, noises: undefined, recordings: params.records.length },
    seed,
    model: null,
    data_digest: digest,
    body: { task: 'ecg', parameters, best, leak, parent: null },
  });
  const id = await manifestId(manifest);
  context.describeModel({
    task: 'ecg',
    key: id,
    family: ECG_FAMILY,
    revision: id,
    digest: manifest.model_digest!,
    parameters,
  });
  return {
    result: {
      model: id,
      parameters,
      steps: trained.steps,
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
