/** The client of Sextant's API. It needs `fetch`, streams and WebCrypto, and no package. */

export type { Job, JobStatus, Progress } from '../../shared/contracts/job.ts';
export type { JobEvent } from '../../shared/contracts/job-event.ts';
export { type DownloadOptions, isPastTheEnd } from './download.ts';
export * from './errors.ts';
export type { EventOptions } from './events.ts';
export { type Page, type PageOptions, Pages } from './pages.ts';
export { ProgressBar, type Terminal } from './progress-bar.ts';
export type * from './resources/artefacts.ts';
export type * from './resources/hooks.ts';
export type * from './resources/jobs.ts';
export type * from './resources/results.ts';
export type * from './resources/tenant.ts';
export type * from './resources/vectors.ts';
export { Sextant } from './sextant.ts';
export { type Hasher, sha256 } from './sha256.ts';
export type { CallOptions, CreateOptions, SextantOptions } from './transport.ts';
export { verifyWebhook, type WebhookEvent, type WebhookOptions, WebhookVerificationError } from './webhook.ts';
