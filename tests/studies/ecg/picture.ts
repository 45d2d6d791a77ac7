/** What cleaning looks like: ten seconds of a test record under mixed noise, as recorded, cleaned, and as it was before. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { denoiseRecord } from '../../../gpu-worker/ecg/denoise/record-denoiser.ts';
import { mix } from '../../../gpu-worker/ecg/mixing/mix.ts';
import type { EcgModel } from '../../../gpu-worker/ecg/model/document.ts';
import { drawRecord } from '../../../gpu-worker/ecg/picture.ts';
import { NETWORK_RATE } from '../../../gpu-worker/ecg/rate.ts';
import { columnsRecord } from '../../../gpu-worker/ecg/records/columns-record.ts';
import { pictureLeads } from '../../../gpu-worker/jobs/outputs/ecg-picture.ts';
import { recording, testNoise } from './material.ts';

const [RECORD, KIND, LEVEL, SECONDS] = ['103', 'mix', 0, 10];

/** @returns an SVG */
export async function pictureStudy({ document, weights }: EcgModel, threads: number): Promise<string> {
  const samples = SECONDS * NETWORK_RATE;
  const clean = (await recording(RECORD)).map((lead) => lead.slice(0, samples));
  const { mixed } = mix(clean, (await testNoise(samples)).get(KIND)!, LEVEL, 'segment');
  const leads = mixed.map((values, c) => ({ name: ['MLII', 'V2'][c]!, values }));
  const scratch = mkdtempSync(join(tmpdir(), 'ecg-picture-'));
  const denoiser = await Denoiser.create(document.network, weights, { threads });
  try {
    const record = columnsRecord({ rate: NETWORK_RATE, unit: 'mV', leads }, 'json');
    const denoised = await denoiseRecord(record, { denoiser, document, scratch });
    const known = pictureLeads(denoised).map((lead, c) => ({
      ...lead,
      clean: async (from: number, to: number) => clean[c]!.slice(from * NETWORK_RATE, to * NETWORK_RATE),
    }));
    const svg = await drawRecord(`Record ${RECORD} under ${KIND}ed noise of ${LEVEL} dB`, known);
    await denoised.close();
    return svg;
  } finally {
    await denoiser.release();
    rmSync(scratch, { recursive: true });
  }
}
