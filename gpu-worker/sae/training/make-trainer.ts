import type { Encoder } from '../codes/encoder.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import type { SaeConfiguration } from './configuration.ts';
import { DenseTrainer } from './dense-trainer.ts';
import { FastTrainer, fastPathFits } from './fast-trainer.ts';
import type { Trainer, TrainerState } from './trainer.ts';

export type MakeOptions = { threads?: number; encoder?: Encoder; provider?: 'auto' | 'cpu' | 'webgpu' | 'cuda' };

/** The fast path where it fits and computing happens on the CPU, else the dense program. */
export async function makeTrainer(
  configuration: SaeConfiguration,
  batch: number,
  start: SaeParameters | TrainerState,
  { threads = 2, encoder, provider = 'cpu' }: MakeOptions = {},
): Promise<Trainer> {
  if (provider === 'cpu' && fastPathFits(configuration)) {
    return new FastTrainer(configuration, batch, start, { threads, ...(encoder && { encoder }) });
  }
  return DenseTrainer.create(configuration, batch, start, { threads, provider });
}
