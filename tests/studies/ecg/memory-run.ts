/** One process that cleans a WFDB record of so many seconds, files to files, and prints the most memory that it took. */
import { createReadStream, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { denoiseRecord } from '../../../gpu-worker/ecg/denoise/record-denoiser.ts';
import { CONFIG_FILE, readEcgModel, SHIPPED_MODEL, WEIGHTS_FILE } from '../../../gpu-worker/ecg/model/document.ts';
import { drawRecord } from '../../../gpu-worker/ecg/picture.ts';
import { openWfdbRecord } from '../../../gpu-worker/ecg/records/wfdb-record.ts';
import { syntheticNoise, syntheticPatient } from '../../../gpu-worker/ecg/training/synthetic.ts';
import { pictureLeads } from '../../../gpu-worker/jobs/outputs/ecg-picture.ts';
import { qualityAnnotations, qualityDocument } from '../../../gpu-worker/jobs/outputs/ecg-quality.ts';

const RATE = 360;
const minutes = Number(process.argv[2]) / 60;
const scratch = mkdtempSync(join(tmpdir(), 'ecg-memory-'));
const data = join(scratch, 'r.dat');
const noise = syntheticNoise('em', 1, 60);
const leads = syntheticPatient(1, 1, 60).map((lead, c) => lead.map((value, i) => value + noise[c]![i]!));
const minute = Int16Array.from({ length: 2 * leads[0]!.length }, (_, i) => Math.round(100 * leads[i % 2]![i >> 1]!));
const file = openSync(data, 'w');
for (let m = 0; m < minutes; m++) {
  writeSync(file, minute);
}
const header = `r 2 ${RATE} ${60 * RATE * minutes}\nr.dat 16 200 12 0\nr.dat 16 200 12 0\n`;
try {
  const { document, weights } = await readEcgModel(join(SHIPPED_MODEL, CONFIG_FILE), join(SHIPPED_MODEL, WEIGHTS_FILE));
  const denoiser = await Denoiser.create(document.network, weights, { threads: 1 });
  const record = openWfdbRecord(header, (_, start) => createReadStream(data, { start, highWaterMark: 196_608 }));
  const denoised = await denoiseRecord(record, { denoiser, document, scratch });
  await denoiser.release();
  mkdirSync(join(scratch, 'out'));
  await record.write(denoised.cleaned, join(scratch, 'out'));
  const bytes = qualityDocument(denoised).length + qualityAnnotations(denoised).length;
  const picture = await drawRecord('long', pictureLeads(denoised));
  await denoised.close();
  console.log(JSON.stringify({ peak_kib: process.resourceUsage().maxRSS, outputs: bytes + picture.length }));
} finally {
  rmSync(scratch, { recursive: true });
}
