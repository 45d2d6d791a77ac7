/** The leads of a denoised recording as the picture takes them, in millivolts. */
import type { DenoisedRecord } from '../../ecg/denoise/record-denoiser.ts';
import type { PictureLead } from '../../ecg/picture.ts';

export const pictureLeads = (record: DenoisedRecord): PictureLead[] =>
  record.leads.map(({ lead, seconds }, k) => ({
    name: lead.name,
    seconds,
    async samples(from, to) {
      const end = record.lengths[k]!;
      const [low, high] = [from, to].map((second) => Math.min(end, Math.round(second * lead.rate))) as [number, number];
      const inMillivolts = (values: Float64Array) => values.map((value) => value * lead.millivolts);
      const cleaned = inMillivolts(await record.cleaned[k]!(low, high));
      const noisy = inMillivolts(await record.original(k, low, high));
      return {
        noisy: noisy.map((value, i) => (Number.isNaN(cleaned[i]!) ? Number.NaN : value)),
        cleaned,
        rate: lead.rate,
      };
    },
  }));
