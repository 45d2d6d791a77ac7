/** Sizes and switches of the denoising network (arXiv:2407.11065, read from its authors' code). */
import { z } from 'zod';
import { SextantError } from '../../../shared/contracts/problem.ts';

const count = (max: number) => z.number().int().min(1).max(max);

export const networkSchema = z.strictObject({
  /** Samples that the network sees at a time; 32 tokens at least remain for the narrowest stage to halve. */
  window: count(4096),
  leads: count(8),
  /** Input channels beside the leads: what is known of the noise. */
  conditions: z.number().int().min(0).max(16).default(0),
  /** Channels of the first stage; stage i has width * 2^i. */
  width: count(64),
  /** Blocks per stage. */
  depth: count(8),
  /** Sizes of the convolutions side by side, odd. */
  kernels: z.array(count(63)).min(1).max(8),
  embed: z.enum(['channel', 'token']).default('channel'),
  /** Strides of the token embedding. */
  patches: z.array(count(512)).min(1).max(8).default([2, 4, 8, 16, 32]),
  /** Order of the tokens after a stage of the decoder: the inverse of merging (5b), or the second halves last (5a). */
  separate: z.enum(['inverse', 'halves']).default('inverse'),
  /** Factor on the sum of the output convolutions (6). */
  output_scale: z.number().default(1),
});
export type NetworkConfiguration = z.infer<typeof networkSchema>;

/** Channels of one attention head, everywhere. */
export const HEAD_WIDTH = 4;
export const STAGES = 4;

/** The network of the issue's figures: 559,632 parameters at depth 1 and 1,088,984 at depth 2. */
export const standardNetwork = (changes: Partial<NetworkConfiguration> = {}): NetworkConfiguration => ({
  window: 256,
  leads: 2,
  conditions: 0,
  width: 8,
  depth: 1,
  kernels: [1, 3, 5, 7],
  embed: 'channel',
  patches: [2, 4, 8, 16, 32],
  separate: 'inverse',
  output_scale: 0.25,
  ...changes,
});

/** A checked configuration. @throws SextantError `model_unsupported` naming the field */
export function readNetwork(value: unknown): NetworkConfiguration {
  const parsed = networkSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new SextantError('model_unsupported', `network ${issue.path.join('.')}: ${issue.message}`);
  }
  const config = parsed.data;
  const refuse = (why: string): never => {
    throw new SextantError('model_unsupported', `network ${why}`);
  };
  if (config.window % 2 ** STAGES !== 0) {
    refuse(`window: ${config.window} is no multiple of ${2 ** STAGES}`);
  }
  if (config.width % HEAD_WIDTH !== 0) {
    refuse(`width: ${config.width} is no multiple of ${HEAD_WIDTH}`);
  }
  if (config.kernels.some((kernel) => kernel % 2 === 0)) {
    refuse('kernels: sizes are odd');
  }
  if (config.embed === 'channel' && config.width % config.kernels.length !== 0) {
    refuse(`width: ${config.width} channels cannot be shared by ${config.kernels.length} kernels`);
  }
  if (config.embed === 'token') {
    const tokens = config.patches.reduce((sum, patch) => sum + Math.floor(config.window / patch), 0);
    if (tokens > config.window + config.window / 8 || config.patches.some((patch) => patch > config.window)) {
      refuse(`patches: ${tokens} tokens do not fit into ${config.window + config.window / 8}`);
    }
  }
  return config;
}
