/** Results for the browser page to show, each as the contract has it: as large, and as hostile, as they may be. */
import { createHash } from 'node:crypto';
import { jobSchema } from '../../../shared/contracts/job.ts';
import { frameOf, jobEventSchema } from '../../../shared/contracts/job-event.ts';
import { latentSchema } from '../../../shared/contracts/latent.ts';
import { predictorSchema, reportSchema, saeSchema } from '../../../shared/contracts/manifest.ts';
import { predictionsSchema } from '../../../shared/contracts/predictor.ts';
import { vectorSchema } from '../../../shared/contracts/vector.ts';
import { npyPrefix } from '../../../shared/formats/npy.ts';

/** Markup, a change of direction, and a line of its own. */
export const HOSTILE = '<img src=x onerror="document.title=\'owned\'">\u202etfel-ot-thgir<script>alert(1)</script>';
const id = (prefix: string, length = 52): string => `${prefix}_${'a2b3c4d5e6f7'.repeat(5).slice(0, length)}`;
const digest = '0'.repeat(64);
const at = '2026-11-30T10:00:00.000Z';
const manifest = (kind: string, body: Record<string, unknown>) => ({
  kind,
  schema: 1,
  method: 'abstopk',
  params: { note: HOSTILE, list: [1, 2, 3], table: [{ a: 1, b: HOSTILE }] },
  seed: 0,
  model: id('mdl'),
  model_digest: digest,
  hook: 'resid_post.1',
  data_digest: digest,
  blobs: [],
  body,
  job: null,
  created_at: at,
});

export const FEATURES = 10_000;
export const sae = saeSchema.parse({
  ...manifest('sae', { variant: 'abstopk', width: FEATURES, inputs: 32, k: 8, input_scale: 1, measures: {} }),
  id: id('sae'),
});

/** One page of the list of latents; the cursor is where it begins. */
export function latentPage(query: URLSearchParams): unknown {
  const [begin, limit] = [Number(query.get('cursor') ?? 0), Number(query.get('limit') ?? 50)];
  const count = Math.min(limit, FEATURES - begin);
  const data = Array.from({ length: count }, (_, i) => ({
    latent: begin + i,
    positive: (begin + i) % 3 === 0 ? 0 : 0.01,
    negative: (begin + i) % 3 === 0 ? 0 : 0.002,
    maximum: 4.5,
    minimum: -1.5,
  }));
  return { data, next_cursor: begin + count < FEATURES ? String(begin + count) : null };
}

const context = {
  at: 1,
  tokens: [
    { text: 'the', code: 0 },
    { text: HOSTILE, code: 4.5 },
    { text: '\n', code: 1 },
    { text: ' sad', code: -1.5 },
  ],
};
export const latentOf = (latent: number) =>
  latentSchema.parse({
    latent,
    density: { positive: 0.01, negative: 0.002 },
    maximum: 4.5,
    minimum: -1.5,
    mean_magnitude: 1,
    contexts: { positive: [context, context], negative: [context] },
    promotes: [{ text: HOSTILE, logit: 2 }],
    suppresses: [{ text: ' ', logit: -2 }],
    nearest: [{ latent: 7, cosine: 0.9 }],
    histogram: { low: -1.5, high: 4.5, counts: [1, 2, 0, 4, 3, 1] },
  });

export const vector = vectorSchema.parse({
  id: id('vec'),
  model: id('mdl'),
  model_digest: digest,
  hook: 'resid_post.1',
  method: 'difference_in_means',
  params: {},
  seed: 0,
  data_digest: null,
  values_sha256: digest,
  job: null,
  created_at: at,
  width: 32,
  dtype: 'float32',
  residual_norm: 3,
  positive_pole: HOSTILE.slice(0, 200),
  negative_pole: 'sad',
  strength: 0.8,
  effect: { shift: 0.5 },
  calibration: [-1, 0, 1].map((strength) => ({ strength, effect: strength / 2, kl: strength ** 2 })),
  provenance: { source: HOSTILE },
});

export const report = reportSchema.parse({
  ...manifest('report', {
    finding: 'x'.repeat(100_000),
    groups: [
      { group: HOSTILE, rate: 0.5 },
      { group: 'b', rate: 0.25 },
    ],
    nested: { deep: [{ curve: [1, 2, 3] }] },
  }),
  id: id('rep'),
});

export const predictor = predictorSchema.parse({
  ...manifest('predictor', {
    kind: 'gated',
    columns: ['age', 'sex'],
    attribute: null,
    features: 3,
    document: {
      kind: 'gated',
      inputs: [
        { kind: 'number', name: 'age', mean: 40, scale: 10, missing: null },
        { kind: 'category', name: 'sex', levels: ['f', HOSTILE], unknown: 'refuse' },
      ],
    },
  }),
  id: id('prd'),
});
export const predictionOf = (age: number) =>
  predictionsSchema.parse({ predictor: predictor.id, rows: 1, scores: [age / 100], routed: [1] });

/** A day of two leads at 250 samples per second. */
const [RATE, SECONDS, LEADS] = [250, 86_400, ['II', HOSTILE.slice(0, 70)]];
const prefix = npyPrefix('float64', [LEADS.length, RATE * SECONDS]);
const artefact = (name: string, bytes: number, mediaType: string, n: string, sha256 = digest) => ({
  id: `art_${n.repeat(26)}`,
  name,
  sha256,
  bytes,
  media_type: mediaType,
});
const whole = (name: string, content: string, mediaType: string, n: string) =>
  artefact(name, Buffer.byteLength(content), mediaType, n, createHash('sha256').update(content).digest('hex'));
const flags = Array.from({ length: SECONDS }, (_, second) => (second % 1000 === 3 ? ['flat', 'lead_off'] : []));
export const quality = JSON.stringify({
  second: 1,
  flags: ['flat', 'lead_off'],
  leads: LEADS.map((name) => ({ name, snr_before: [], snr_after: [], flags })),
});
export const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><script>document.title="owned"</script><circle r="4" cx="4" cy="4"/></svg>';
export const recordingBytes = prefix.length + 8 * LEADS.length * RATE * SECONDS;
/** Any range of the day, without the day. */
export function recordingRange(from: number, to: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(to - from);
  const value = new Uint8Array(8);
  for (let i = from; i < to; i++) {
    const place = i - prefix.length;
    if (place < 0) {
      bytes[i - from] = prefix[i]!;
      continue;
    }
    new DataView(value.buffer).setFloat64(0, Math.sin(Math.floor(place / 8) / 20), true);
    bytes[i - from] = value[place % 8]!;
  }
  return bytes;
}

export const denoising = jobSchema.parse({
  id: `job_${'e'.repeat(26)}`,
  type: 'ecg.denoise',
  status: 'succeeded',
  created_at: at,
  started_at: at,
  ended_at: at,
  expires_at: null,
  input_digest: digest,
  attempt: 1,
  progress: null,
  error: null,
  result: {
    files: ['denoised.npy'],
    record: null,
    quality: 'quality.json',
    annotations: 'quality.qua',
    picture: 'picture.svg',
    seconds: SECONDS,
    leads: LEADS.map((name) => ({ name, unit: 'mV', rate_hz: RATE, snr_before: 5, snr_after: 9, flags: {} })),
    notices: [HOSTILE],
    model: 'shipped',
    times_real_time: 100,
  },
  metrics: {},
  cost: { unit: 'device_second', estimate: 3, actual: 2 },
  run: null,
  artefacts: [
    artefact('denoised.npy', recordingBytes, 'application/octet-stream', 'a'),
    whole('quality.json', quality, 'application/json', 'b'),
    whole('picture.svg', SVG, 'image/svg+xml', 'c'),
  ],
  published: [],
  labels: { note: HOSTILE },
});

/** Its whole story, as it goes over the wire. */
export const denoisingEvents = [
  {
    event: 'progress',
    id: 1,
    data: { fraction: 0.5, stage: HOSTILE, metrics: { [HOSTILE]: 1, step: 1 }, attempt: 1, at },
  },
  {
    event: 'progress',
    id: 2,
    data: { fraction: 1, stage: HOSTILE, metrics: { [HOSTILE]: 2, step: 2 }, attempt: 1, at },
  },
  { event: 'status', id: 3, data: { status: 'succeeded', attempt: 1, at, error: null } },
]
  .map((event) => frameOf(jobEventSchema.parse(event)))
  .join('');
