/** Handler of `ecg.denoise`. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type InlineRecord, inlineRecordSchema } from '../../shared/contracts/ecg-record.ts';
import contract from '../../shared/jobs/ecg.denoise.ts';
import { Denoiser } from '../ecg/denoise/network-session.ts';
import { denoiseRecord } from '../ecg/denoise/record-denoiser.ts';
import { drawRecord } from '../ecg/picture.ts';
import { chooseProvider } from '../runtime/index.ts';
import { handle } from './handler.ts';
import { openEcgModel } from './inputs/ecg-model-input.ts';
import { openEcgRecord } from './inputs/ecg-record-input.ts';
import { pictureLeads } from './outputs/ecg-picture.ts';
import { leadSummaries, qualityAnnotations, qualityDocument } from './outputs/ecg-quality.ts';

/** Characters of a recording that the result itself can hold; a result has at most 256 Ki. */
const INLINE_LIMIT = 200_000;
const [QUALITY, ANNOTATIONS, PICTURE] = ['quality.json', 'quality.qua', 'picture.svg'];

export default handle(contract, async (context) => {
  const { params, configuration, scratch } = context;
  const { provider } = await chooseProvider(configuration.device);
  const model = await openEcgModel(context, params.model);
  const record = await openEcgRecord(context, params.record);
  const denoiser = await Denoiser.create(model.document.network, model.weights, {
    device: provider,
    threads: configuration.threads,
  });
  const began = performance.now();
  const progress = (fraction: number) =>
    context.progress({ fraction: 0.9 * fraction, stage: 'denoising', metrics: {} });
  const options = { denoiser, document: model.document, scratch, progress };
  const denoised = await denoiseRecord(record, options).finally(() => denoiser.release());
  try {
    const elapsed = (performance.now() - began) / 1000;
    const folder = join(scratch, 'denoised');
    await mkdir(folder, { recursive: true });
    const files = await record.write(denoised.cleaned, folder);
    for (const name of files) {
      await context.artefact(name, mediaType(name), { file: join(folder, name) });
    }
    await context.artefact(QUALITY, 'application/json', qualityDocument(denoised));
    await context.artefact(ANNOTATIONS, 'application/octet-stream', qualityAnnotations(denoised));
    if (params.picture) {
      const svg = await drawRecord('Electrocardiogram, as recorded and cleaned', pictureLeads(denoised));
      await context.artefact(PICTURE, 'image/svg+xml', new TextEncoder().encode(svg));
    }
    const rate = denoised.seconds / elapsed;
    return {
      result: {
        files,
        record: 'leads' in params.record ? await asInline(join(folder, files[0]!)) : null,
        quality: QUALITY,
        annotations: ANNOTATIONS,
        picture: params.picture ? PICTURE : null,
        seconds: denoised.seconds,
        leads: leadSummaries(denoised),
        notices: record.notices,
        model: model.name,
        times_real_time: rate,
      },
      published: [],
      metrics: { times_real_time: rate },
      run: { device: provider, dtype: 'float32', seed: null, tolerance: null },
    };
  } finally {
    await denoised.close();
  }
});

/** The recording as the request gave it, where a result can hold it. */
async function asInline(file: string): Promise<InlineRecord | null> {
  const text = await readFile(file, 'utf8');
  return text.length > INLINE_LIMIT ? null : inlineRecordSchema.parse(JSON.parse(text));
}

const TYPES: Readonly<Record<string, string>> = { json: 'application/json', csv: 'text/csv', hea: 'text/plain' };
const mediaType = (name: string): string => TYPES[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
