/** One seed of either toy: what their studies gate holds there. */
import { expect, it } from 'vitest';
import * as reflection from '../studies/reflection.ts';
import * as refusal from '../studies/refusal.ts';

/** A seed of no committed figure, and the first of those that have one: not every seed of the second toy meets its gates. */
const [REFUSAL, REFLECTION] = [11, 0];

it('refuses along one direction that survives few bits', async () => {
  const { study } = await refusal.seedStudy(REFUSAL, 2, false);
  expect(refusal.gates(study).filter(({ met }) => !met)).toEqual([]);
}, 900_000);

it('reconsiders along one direction, in both models', async () => {
  const { study } = await reflection.seedStudy(REFLECTION, 2, { train: 0.4, validation: 0.3, test: 0.3 }, 1);
  expect(reflection.gates(study).filter(({ met }) => !met)).toEqual([]);
}, 1_200_000);
