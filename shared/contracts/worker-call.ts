/**
 * What passes between the edge and a GPU worker: the signed message on the queue, and the worker's signed calls to
 * `/internal/jobs/{id}/...`. Delivery is at least once; the fencing token of a claim is what makes completion single.
 */
import { z } from 'zod';
import { jobErrorSchema, progressSchema, runReportSchema } from './job.ts';
import { laneSchema } from './lane.ts';
import { blobSchema, digestSchema, manifestSchema, randomIdSchema } from './manifest.ts';
import { modelDescriptionSchema } from './model.ts';

export const MESSAGE_TYP = 'sextant-job+jws';
export const WORKER_TYP = 'sextant-worker+jws';
export const EDGE_ISSUER = 'sextant-edge';
export const WORKER_AUDIENCE = 'sextant-gpu-worker';
/** A message lives as long as the queue can keep it. */
export const MESSAGE_LIFE_S = 14 * 86_400;
/** A worker's call lives this long; its clock offset is learned from the edge's answers. */
export const WORKER_CALL_LIFE_S = 60;
/** Answers of the edge carry its clock in this header, in milliseconds since the epoch. */
export const EDGE_TIME_HEADER = 'x-sextant-time';
/** Params whose JSON is longer than this travel by reference: base64 twice and the envelope stay below 128,000 bytes. */
export const PARAMS_INLINE_LIMIT = 48_000;

/** Claims of the message's JWS (EdDSA, `typ` = MESSAGE_TYP, `kid` set). */
export const messageSchema = z.strictObject({
  iss: z.literal(EDGE_ISSUER),
  aud: z.literal(WORKER_AUDIENCE),
  iat: z.number().int(),
  exp: z.number().int(),
  sub: randomIdSchema('job'),
  jti: randomIdSchema('dsp').describe('the dispatch that the ledger issued'),
  type: z.string().max(60),
  input_digest: digestSchema,
  lane: laneSchema.optional().describe('the line in which it waited'),
  traceparent: z.string().max(55).optional().describe('of what brought the job about (W3C Trace Context)'),
  params: z.record(z.string(), z.unknown()).optional(),
  params_ref: z.strictObject({ sha256: digestSchema, bytes: z.number().int().positive() }).optional(),
});
export type Message = z.infer<typeof messageSchema>;
/** Body of a queue message. */
export const queueBodySchema = z.strictObject({ jws: z.string().max(126_000) });

/**
 * Claims of a worker's call (EdDSA, `typ` = WORKER_TYP, `kid` = worker id), sent as `Authorization: Sextant <JWS>`.
 * `digest` is the sha-256 of the body's bytes (of no bytes for an empty body).
 */
export const workerCallSchema = z.strictObject({
  iss: randomIdSchema('wkr'),
  aud: z.literal(EDGE_ISSUER),
  iat: z.number().int(),
  exp: z.number().int(),
  jti: z.string().min(16).max(64),
  method: z.string().max(10),
  path: z.string().max(500),
  digest: digestSchema,
  fence: z.string().max(64).nullable(),
});
export type WorkerCall = z.infer<typeof workerCallSchema>;

/** Longest state of a checkpoint, in characters of JSON; what is larger goes into its blobs. */
export const CHECKPOINT_STATE_LIMIT = 16_384;
/**
 * Where an attempt stands, so that the next one can go on from there on any worker. Its blobs are the tenant's bytes but
 * no artefacts: they are kept while the job lives, and shown to nobody but the worker that holds it.
 */
const checkpointSchema = z.object({
  /** What the handler makes of it is its own business. */
  state: z
    .record(z.string(), z.unknown())
    .refine(
      (state) => JSON.stringify(state).length <= CHECKPOINT_STATE_LIMIT,
      `at most ${CHECKPOINT_STATE_LIMIT} characters`,
    ),
  blobs: z.array(blobSchema).max(4096),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** POST /internal/jobs/{id}/checkpoint: replaces the job's checkpoint; its blobs were announced and uploaded as for a completion. */
export const checkpointRequestSchema = z.strictObject({
  ...checkpointSchema.shape,
  blobs: z.array(blobSchema.extend({ n: z.number().int().nonnegative() })).max(4096),
});
export type CheckpointRequest = z.infer<typeof checkpointRequestSchema>;

/** POST /internal/jobs/{id}/claim */
export const claimRequestSchema = z.strictObject({
  dispatch: randomIdSchema('dsp'),
  message: z.string().max(126_000),
  /** Drawn when the worker's process started: with the same dispatch it gets the same claim again. */
  nonce: z.string().min(16).max(64).optional(),
  /** What a computation of this worker may take. */
  memory_bytes: z.number().int().positive().optional(),
});
export type ClaimRequest = z.infer<typeof claimRequestSchema>;
/** A published result or artefact that the params name, with presigned addresses of its blobs. */
const jobInputSchema = z.object({
  id: z.string(),
  manifest: manifestSchema.nullable(),
  blobs: z.array(blobSchema.extend({ url: z.string() })),
});
export type JobInput = z.infer<typeof jobInputSchema>;
export const claimSchema = z.object({
  fence: z.string(),
  attempt: z.number().int().positive(),
  lease_ms: z.number().int().positive(),
  heartbeat_ms: z.number().int().positive(),
  /** Running time left of `timeout_s`, over all attempts. */
  remaining_s: z.number(),
  params_url: z.string().nullable(),
  inputs: z.array(jobInputSchema),
  /** Equal for the jobs of one tenant, and tells nothing of it: what a worker keeps of one is found by its own jobs alone. */
  owner: digestSchema.optional(),
  /** Somebody follows the job token by token: what it generates is to be told on the way. */
  followed: z.boolean().default(false),
  /** The last checkpoint of the attempts before, with presigned addresses of its blobs. */
  checkpoint: checkpointSchema
    .extend({ blobs: z.array(blobSchema.extend({ url: z.string() })) })
    .nullable()
    .default(null),
});
export type Claim = z.infer<typeof claimSchema>;

/** POST /internal/jobs/{id}/heartbeat */
export const heartbeatRequestSchema = z.strictObject({ progress: progressSchema.nullable() });
export const heartbeatSchema = z.object({
  cancel: z.boolean(),
  /** The job has reached a cap on device seconds: it saves where it stands, stops, and fails with `spending_cap`. */
  spent: z.boolean().default(false),
  remaining_s: z.number(),
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** Largest shard of an artefact, in bytes. */
export const SHARD_LIMIT = 256 * 1024 * 1024;
/** POST /internal/jobs/{id}/uploads: announces blobs, answers presigned PUT addresses in the same order. */
export const uploadsRequestSchema = z.strictObject({
  blobs: z
    .array(z.strictObject({ sha256: digestSchema, bytes: z.number().int().min(0).max(SHARD_LIMIT) }))
    .min(1)
    .max(256),
});
export const uploadsSchema = z.object({
  /** `url` is null where the tenant already owns these bytes: nothing has to be sent. */
  uploads: z.array(z.object({ n: z.number().int(), url: z.string().nullable() })),
});
export type Uploads = z.infer<typeof uploadsSchema>;

/** Models that one attempt opened or published, and tells the edge of. */
export const MOST_MODELS = 64;

/** A result is shown with the job and kept in its ledger, in so many characters: anything larger belongs into an artefact. */
export const RESULT_LIMIT = 256 * 1024;
/** The ledger keeps an accepted completion in one row until it is published; a row holds 2 MB. */
export const COMPLETION_LIMIT = 1_800_000;

/** POST /internal/jobs/{id}/complete: everything a job leaves behind, accepted at once or not at all. */
export const completeRequestSchema = z.strictObject({
  input_digest: digestSchema,
  /** Announced uploads, by their number; `name` is what the job's artefact list shows. */
  artefacts: z.array(blobSchema.extend({ n: z.number().int().nonnegative() })).max(4096),
  published: z.array(manifestSchema).max(1000),
  result: z.record(z.string(), z.unknown()),
  metrics: z.record(z.string(), z.number()),
  run: runReportSchema,
  /** Models that this attempt resolved or made, so that the edge can refuse wrong hooks from now on. */
  models: z.array(modelDescriptionSchema).max(MOST_MODELS),
});
export type CompleteRequest = z.infer<typeof completeRequestSchema>;
/**
 * Answer to a completion and to a checkpoint: `promoting` where pieces of what was uploaded are still to be promoted, and
 * the same call again goes on from there; else `kept`, or the status of the job.
 */
export const acceptanceSchema = z.object({
  status: z.enum(['promoting', 'kept', 'running', 'succeeded']),
  /** Pieces that the tenant owns by now, of how many. */
  promoted: z.number().int().nonnegative(),
  of: z.number().int().nonnegative(),
});
export type Acceptance = z.infer<typeof acceptanceSchema>;

/**
 * POST /internal/jobs/{id}/fail; `retryable` gives the job another attempt if its cap allows. `host`: the worker's own
 * machine or installation broke, which is not counted against the job.
 */
export const failRequestSchema = z.strictObject({
  error: jobErrorSchema.omit({ attempt: true }),
  retryable: z.boolean(),
  host: z.boolean().default(false),
  models: z.array(modelDescriptionSchema).max(MOST_MODELS).default([]),
});
/** POST /internal/jobs/{id}/release: the worker is shutting down; the job is queued again and the attempt not counted. */
export const releaseRequestSchema = z.strictObject({});

/** A worker announces itself this often in each lane, idle or not. */
export const ANNOUNCE_MS = 15_000;
/**
 * POST /internal/workers/announce, or a message over the bell: the worker is there, with this job of the lane in hand;
 * `leaving`: it takes no more.
 */
export const announceRequestSchema = z.strictObject({
  job: randomIdSchema('job').nullable(),
  leaving: z.boolean().default(false),
  lane: laneSchema.default('batch'),
});
export type Announcement = z.input<typeof announceRequestSchema>;

/**
 * GET /internal/workers/bell/{lane} as a WebSocket: the edge sends RING when it put a message onto the lane's queue. The
 * message is pulled, verified and claimed as ever; who misses a ring finds it by its next poll. The worker opens a new one,
 * under a new signature, before BELL_LIFE_MS is over: then the edge closes it.
 */
export const RING = 'ring';
export const BELL_LIFE_MS = 600_000;

/** GET /internal/deletions?after=: blobs and jobs that are gone, by the digest of bytes or id; ask again from `cursor` on. */
export const deletionsSchema = z.object({
  cursor: z.number().int().nonnegative(),
  deletions: z.array(z.object({ sha256: digestSchema })),
});
export type Deletions = z.infer<typeof deletionsSchema>;
