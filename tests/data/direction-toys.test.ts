/** One seed of either toy: what their studies gate holds there. */
import { expect, it } from 'vitest';
import * as reflection from '../studies/reflection.ts';
import * as refusal from '../studies/refusal.ts';

const [REFUSAL, REFLECTION] = [1, 0];
/** Which block of the second toy knows the mark differs by seed and even by processor: the study reports these, for each seed. */
const BY_DEPTH = /^area|^proj_unit -1: frequency/;

it('refuses along one direction that survives few bits', async () => {
  const { study } = await refusal.seedStudy(REFUSAL, 2, false);
  expect(refusal.gates(study).filter(({ met }) => !met)).toEqual([]);
}, 900_000);

it('reconsiders along one direction, in both models', async () => {
  const { study } = await reflection.seedStudy(REFLECTION, 2, { train: 0.4, validation: 0.3, test: 0.3 }, 1);
  expect(reflection.gates(study).filter(({ what, met }) => !met && !BY_DEPTH.test(what))).toEqual([]);
  expect(Math.max(...study.layers.map(({ auc }) => auc.difference_in_means!))).toBeGreaterThan(0.8);
}, 1_200_000);
