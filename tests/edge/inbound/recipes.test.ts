import { describe, expect, it } from 'vitest';
import { checkRecipe, scopesNeeded } from '../../../edge/inbound/recipes/check.ts';
import { eventFieldsOf } from '../../../edge/inbound/recipes/references.ts';
import { itemsOf, resolveParams } from '../../../edge/inbound/recipes/resolve.ts';
import { newSteps, plan, runEnd, type StepState, stepEnd } from '../../../edge/inbound/runs/plan.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type RecipeBody, recipeBodySchema } from '../../../shared/contracts/recipe.ts';

const model = { hub: 'huggingface', repo: 'a/b', revision: { from: 'event.revision' } };
const step = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  type: 'diagnostics.run',
  params: { steps: 1 },
  ...more,
});
const recipe = (...steps: unknown[]): RecipeBody => recipeBodySchema.parse({ steps });
const faults = (body: RecipeBody): [string, string][] => {
  try {
    checkRecipe(body);
    return [];
  } catch (error) {
    return error instanceof SextantError
      ? (error.errors ?? []).map(({ pointer, code }) => [pointer, code])
      : [['?', String(error)]];
  }
};

describe('a recipe', () => {
  const extract = {
    id: 'extract',
    type: 'activations.extract',
    params: { model, hooks: ['resid_post.1'], corpus: { local: 'c' } },
  };

  it('may refer to the event, to results, to artefacts and to what was published', () => {
    const body = recipe(
      step('a'),
      step('b', { params: { steps: { from: 'steps.a.result.steps' } } }),
      {
        id: 'derive',
        type: 'vectors.derive',
        params: {
          method: 'sae_latent',
          model,
          hook: 'resid_post.1',
          sae: `sae_${'a'.repeat(52)}`,
          latent: 3,
          positive: { label: 'p' },
          negative: { label: 'n' },
          prompts: ['p'],
        },
      },
      step('c', { needs: ['derive'], over: { from: 'steps.derive.published.vector' } }),
    );
    expect(faults(body)).toEqual([]);
    expect(eventFieldsOf(body)).toEqual(['revision']);
    expect(scopesNeeded(body)).toEqual(['jobs:write']);
  });

  it.each([
    [
      'a cycle',
      [step('a', { needs: ['b'] }), step('b', { params: { steps: { from: 'steps.a.result.steps' } } }), step('c')],
      [
        ['/steps/0', 'cycle'],
        ['/steps/1', 'cycle'],
      ],
    ],
    ['itself', [step('a', { needs: ['a'] })], [['/steps/0', 'cycle']]],
    ['a step that is not there', [step('a', { needs: ['b'] })], [['/steps/0/needs/0', 'step_unknown']]],
    ['a step twice', [step('a'), step('a')], [['/steps/1/id', 'step_repeated']]],
    ['a job type that is not there', [step('a', { type: 'x.y' })], [['/steps/0/type', 'job_type_unknown']]],
    ['a field that is not there', [step('a', { params: { stepz: 1 } })], [['/steps/0/params/stepz', 'unknown_field']]],
    [
      'a value of the wrong kind',
      [step('a', { params: { steps: 'many' } })],
      [['/steps/0/params/steps', 'invalid_type']],
    ],
    [
      'a result that is not there',
      [step('a'), step('b', { params: { steps: { from: 'steps.a.result.nope' } } })],
      [['/steps/1/params/steps', 'reference_invalid']],
    ],
    [
      'what is never published',
      [step('a'), step('b', { params: { steps: { from: 'steps.a.published.sae.0' } } })],
      [['/steps/1/params/steps', 'reference_invalid']],
    ],
    [
      'an event field that is not there',
      [step('a', { params: { steps: { from: 'event.sha' } } })],
      [['/steps/0/params/steps', 'reference_invalid']],
    ],
    [
      'an item without a list',
      [step('a', { params: { steps: { from: 'item' } } })],
      [['/steps/0/params/steps', 'reference_invalid']],
    ],
    [
      'an unknown field beside a reference',
      [step('a', { params: { steps: { from: 'event.tag' }, stepz: 1 } })],
      [['/steps/0/params/stepz', 'unknown_field']],
    ],
  ] as [string, unknown[], unknown][])('is refused for %s, with a pointer', (_, steps, expected) => {
    expect(faults(recipe(...steps))).toEqual(expected);
  });

  it('finds result fields whose names have dots', () => {
    const following = (path: string) =>
      recipe(extract, step('b', { params: { steps: { from: `steps.extract.result.${path}` } } }));
    expect(faults(following('hooks.resid_post.1.mean_norm'))).toEqual([]);
    expect(faults(following('hook.resid_post.1.mean_norm'))).toEqual([['/steps/1/params/steps', 'reference_invalid']]);
  });
});

const event = { repository: 'a/b', ref: null, revision: 'r1', previous_revision: null, tag: null, delivery: 'd' };

describe('references', () => {
  const job = (n: number) => ({
    result: { steps: n, hooks: { 'resid_post.1': { mean_norm: n / 2 } } },
    artefacts: [`art_${n}a`, `art_${n}b`],
    published: [
      { kind: 'report', id: `rep_${n}` },
      { kind: 'vector', id: `vec_${n}` },
    ],
  });
  const sources = {
    event,
    step: (id: string) =>
      id === 'one'
        ? { fanned: false, jobs: [job(1)] }
        : id === 'many'
          ? { fanned: true, jobs: [job(1), job(2)] }
          : undefined,
  };
  const value = (from: string, item?: unknown) =>
    resolveParams(recipe(step('x', { params: { v: { from } } })).steps[0]!, { ...sources, item }).v;

  it.each([
    ['event.revision', 'r1'],
    ['steps.one.result.steps', 1],
    ['steps.one.result', job(1).result],
    ['steps.one.result.hooks.resid_post.1.mean_norm', 0.5],
    ['steps.one.artefacts', ['art_1a', 'art_1b']],
    ['steps.one.artefacts.1', 'art_1b'],
    ['steps.one.published.vector.0', 'vec_1'],
    ['steps.one.published', ['rep_1', 'vec_1']],
    ['steps.one.published.0', 'rep_1'],
    ['steps.many.result.steps', [1, 2]],
    ['steps.many.artefacts', ['art_1a', 'art_1b', 'art_2a', 'art_2b']],
    ['steps.many.published.vector.0', ['vec_1', 'vec_2']],
  ])('%s is a value', (from, expected) => {
    expect(value(from)).toEqual(expected);
  });

  it('of an entry of the list', () => {
    expect(value('item.seed', { seed: 7 })).toBe(7);
    expect(value('item', 3)).toBe(3);
  });

  it.each([
    'event.tag',
    'steps.none.result',
    'steps.one.result.nope',
    'steps.one.artefacts.9',
    'steps.one.published.sae.0',
  ])('%s has none here', (from) => {
    expect(() => value(from)).toThrow(expect.objectContaining({ code: 'reference_unresolved' }));
  });

  it('are never parts of a text', () => {
    const params = resolveParams(
      recipe(step('x', { params: { text: 'at {"from": "event.revision"}' } })).steps[0]!,
      sources,
    );
    expect(params.text).toBe('at {"from": "event.revision"}');
  });

  it('give the list to go over, of 1 to 256 entries', () => {
    const over = (from: string) => itemsOf(recipe(step('x', { over: { from } })).steps[0]!, sources);
    expect(over('steps.many.result.steps')).toEqual([1, 2]);
    expect(() => over('steps.one.result.steps')).toThrow(expect.objectContaining({ code: 'reference_unresolved' }));
  });
});

describe('a plan', () => {
  const body = recipe(step('a'), step('b', { needs: ['a'] }), step('c', { needs: ['b'] }), step('d'));
  const withStatus = (statuses: Record<string, StepState['status']>) =>
    newSteps(body).map((one) => ({ ...one, status: statuses[one.id] ?? one.status }));

  it('begins what waits for nothing, and goes on behind what succeeded', () => {
    expect(plan(body, newSteps(body)).ready).toEqual(['a', 'd']);
    expect(plan(body, withStatus({ a: 'succeeded', d: 'running' })).ready).toEqual(['b']);
  });

  it('skips all that hangs on a failed step and keeps the rest', () => {
    const { steps, ready } = plan(body, withStatus({ a: 'failed' }));
    expect(steps.map(({ status }) => status)).toEqual(['failed', 'skipped', 'skipped', 'waiting']);
    expect(ready).toEqual(['d']);
    expect(runEnd(steps)).toBeNull();
    expect(runEnd(withStatus({ a: 'failed', b: 'skipped', c: 'skipped', d: 'succeeded' }))).toBe('failed');
    expect(runEnd(withStatus({ a: 'succeeded', b: 'succeeded', c: 'succeeded', d: 'succeeded' }))).toBe('succeeded');
  });

  it('ends a step with its last job', () => {
    const of = (...statuses: string[]) => stepEnd(statuses.map((status) => ({ status, error: null })));
    expect(of('succeeded', 'running')).toBeNull();
    expect(of('failed', 'planned')).toBeNull();
    expect(of('succeeded', 'succeeded')).toMatchObject({ status: 'succeeded' });
    expect(of('succeeded', 'failed')).toMatchObject({ status: 'failed' });
    expect(of('canceled')).toMatchObject({ status: 'canceled' });
  });
});
