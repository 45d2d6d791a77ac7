/** One seed of either toy that no committed figure has: what their studies gate must hold there too. */
import { expect, it } from 'vitest';
import * as reflection from '../studies/reflection.ts';
import * as refusal from '../studies/refusal.ts';

const SEED = 11;

it('refuses along one direction that survives few bits', async () => {
  const { study } = await refusal.seedStudy(SEED, 2, false);
  expect(refusal.gates(study).filter(({ met }) => !met)).toEqual([]);
}, 900_000);

it('reconsiders along one direction, in both models', async () => {
  const { study } = await reflection.seedStudy(SEED, 2, { train: 0.4, validation: 0.3, test: 0.3 }, 1);
  expect(reflection.gates(study).filter(({ met }) => !met)).toEqual([]);
}, 1_200_000);
