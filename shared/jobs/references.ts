/** Pieces that several job contracts share: how params name models, hooks and inputs. */
import { z } from 'zod';
import type { ActivationFile } from '../contracts/activation-files.ts';
import type { CircuitTask } from '../contracts/circuit-task.ts';
import type { Corpus } from '../contracts/corpus.ts';
import { distinct } from '../contracts/distinct.ts';
import type { ModelReference } from '../contracts/model.ts';
import type { PromptSource } from '../contracts/prompts.ts';
import type { SteeringVector } from '../contracts/steering.ts';
import type { VectorReference } from '../contracts/vector.ts';
import type { InputUse, ModelUse, VectorUse } from './contract.ts';

export const hookSchema = z
  .string()
  .max(60)
  .regex(/^[a-z_]+(\.\d+){1,2}$/, 'a hook point such as resid_post.2')
  .refine((hook) => !hook.startsWith('attn_pattern.'), {
    message: 'attention patterns are no vectors of fixed width; `patterns` of activations.read tells them',
    params: { code: 'hook_unknown' },
  })
  .describe('hook point of vectors, for example resid_post.2; layers and heads count from 0');

/** Hook points, each once. */
export const distinctHooks = distinct('hook point', (hook: string) => hook);
/** Runs, copies or sets of tokens under names of their own. */
export const distinctLabels = distinct('label', ({ label }: { label: string }) => label);
/** Published results, each once. */
export const distinctIds = distinct('id', (id: string) => id);

/** The model at `/model` with the hook points named at the given fields of the params. */
export const modelUse = (reference: ModelReference, hooks: Record<string, string>): ModelUse => ({
  reference,
  pointer: '/model',
  hooks: Object.entries(hooks).map(([field, hook]) => ({ hook, pointer: `/${field}` })),
});

/** A model reference by id is an input: its files are the tenant's own. */
export const modelInput = (reference: ModelReference, pointer = '/model'): InputUse[] =>
  'id' in reference ? [{ id: reference.id, pointer: `${pointer}/id` }] : [];

export const corpusInput = (corpus: Corpus, pointer = '/corpus'): InputUse[] =>
  'artefact' in corpus ? [{ id: corpus.artefact, pointer: `${pointer}/artefact` }] : [];

/** The files of activations; one that is named twice for two of its tensors is one input. */
export const activationInputs = (files: readonly ActivationFile[] | null): InputUse[] =>
  (files ?? []).map(({ artefact }, i) => ({ id: artefact, pointer: `/activations/${i}/artefact` }));

export const taskInput = (task: CircuitTask, pointer = '/task'): InputUse[] =>
  'artefact' in task ? [{ id: task.artefact, pointer: `${pointer}/artefact` }] : [];

export const promptInput = (source: PromptSource, pointer: string): InputUse[] =>
  'artefact' in source ? [{ id: source.artefact, pointer: `${pointer}/artefact` }] : [];

/** What a run is steered with, as `steeringSchema` has it. */
type Steered = {
  vectors: { vector: SteeringVector; when?: { vector: SteeringVector } | undefined }[];
  latents?: { sae: string; when?: { vector: SteeringVector } | undefined }[] | undefined;
};

/** Where a run names vectors, conditions included. */
function namingPlaces({ vectors, latents = [] }: Steered, pointer: string) {
  const conditions = (list: readonly { when?: { vector: SteeringVector } | undefined }[], field: string) =>
    list.flatMap(({ when }, i) => (when ? [{ of: when, pointer: `${pointer}/${field}/${i}/when/vector` }] : []));
  return [
    ...vectors.map((of, i) => ({ of, pointer: `${pointer}/vectors/${i}/vector` })),
    ...conditions(vectors, 'vectors'),
    ...conditions(latents, 'latents'),
  ];
}

/** Vectors of a steered run that may be named; `of` is changed when a name becomes an id. */
export const vectorUses = (run: Steered, pointer: string): VectorUse[] =>
  namingPlaces(run, pointer).flatMap((place) => {
    const { of, pointer: at } = place;
    return isReference(of) ? [{ of, pointer: at }] : [];
  });

const isReference = (of: { vector: SteeringVector }): of is { vector: VectorReference } =>
  typeof of.vector === 'string' || 'name' in of.vector;

/** Published results that a steered run is made with: vectors that are ids, and autoencoders. */
export const steeringInputs = (run: Steered, pointer: string): InputUse[] => [
  ...namingPlaces(run, pointer).flatMap(({ of: { vector }, pointer: at }) =>
    typeof vector === 'string' ? [{ id: vector, pointer: at }] : [],
  ),
  ...(run.latents ?? []).map(({ sae }, i) => ({ id: sae, pointer: `${pointer}/latents/${i}/sae` })),
];

/** Hook points that the run's own values name. */
export const steeringHooks = (run: Steered, pointer: string): ModelUse['hooks'] =>
  namingPlaces(run, pointer).flatMap(({ of: { vector }, pointer: at }) =>
    typeof vector === 'object' && 'hook' in vector ? [{ hook: vector.hook, pointer: `${at}/hook` }] : [],
  );
