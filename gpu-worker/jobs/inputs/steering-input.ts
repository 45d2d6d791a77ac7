/** How params steer a run: published and inline vectors and held latents, as edits of the model's graph. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SteeringVector } from '../../../shared/contracts/steering.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/lm.generate.ts';
import { unitVector } from '../../directions/difference-in-means.ts';
import type { Intervention } from '../../lm/index.ts';
import { latentClamp } from '../../sae/index.ts';
import type { JobContext } from '../handler.ts';
import { openSae } from '../outputs/sae-artefact.ts';
import type { OpenedModel } from './model-input.ts';
import { type OpenedVector, openVector } from './vector-input.ts';

type PlacedRun = ParamsOf<typeof contract>['runs'][number];
type SteeredVector = Omit<PlacedRun['vectors'][number], 'at'>;
type ClampedLatent = Omit<NonNullable<PlacedRun['latents']>[number], 'at'>;
type Steered = { vectors: readonly SteeredVector[]; latents?: readonly ClampedLatent[] | undefined };
type Condition = NonNullable<Intervention['condition']>;

/** What the edits are opened with. */
type Opening = { context: Pick<JobContext<unknown>, 'input' | 'params'>; model: OpenedModel; allowMismatch: boolean };

/**
 * Vectors and held latents as edits of the model, in their order; strengths without a mode in units of the mean residual norm
 * stored with each vector; vectors of strength 0 are none.
 * @throws SextantError as `openVector` and `openSae`; `data_invalid` for a condition at another hook
 */
export async function openSteering(
  context: Opening['context'],
  run: Steered,
  model: OpenedModel,
  allowMismatch: boolean,
): Promise<Intervention[]> {
  const opening = { context, model, allowMismatch };
  const edits = await Promise.all([
    ...run.vectors.map((use, i) => vectorEdit(opening, use, `/vectors/${i}`)),
    ...(run.latents ?? []).map((use, i) => latentEdit(opening, use, `/latents/${i}`)),
  ]);
  return edits.filter((edit) => edit !== null);
}

/** The same, each where the run places it, or else at `steer`. */
export async function openPlacedSteering(
  context: Opening['context'],
  run: PlacedRun,
  model: OpenedModel,
  { allowMismatch, steer }: { allowMismatch: boolean; steer: 'all' | 'prompt' | 'generated' },
) {
  const uses = [...run.vectors.map((vector) => ({ vector })), ...(run.latents ?? []).map((latent) => ({ latent }))];
  const placed = uses.map(async (use) => {
    const alone: Steered = 'vector' in use ? { vectors: [use.vector] } : { vectors: [], latents: [use.latent] };
    const { at } = 'vector' in use ? use.vector : use.latent;
    const edits = await openSteering(context, alone, model, allowMismatch);
    return edits.map((edit) => ({ ...edit, during: at ?? steer }));
  });
  return (await Promise.all(placed)).flat();
}

async function vectorEdit(opening: Opening, use: SteeredVector, at: string): Promise<Intervention | null> {
  const { strength, mode, least, most, when } = use;
  const { hook, values, residualNorm, rawNorm } = await vectorOf(opening, use.vector);
  const condition = when && (await conditionOf(opening, when, hook, at));
  const where = { hook, ...(condition && { condition }) };
  if (mode === 'ablate') {
    return { ...where, kind: 'project', directions: values, factor: 0 };
  }
  if (mode === 'cap') {
    if (least === undefined && most === undefined) {
      throw new SextantError('data_invalid', `${at}: mode cap needs least, most or both`);
    }
    const bounds = Object.entries({ least, most }).flatMap(([name, bound]) =>
      bound === undefined ? [] : [[name, bound * residualNorm]],
    );
    return { ...where, kind: 'cap', direction: values, ...Object.fromEntries(bounds) };
  }
  if (strength === 0) {
    return null;
  }
  if (mode === 'proj_unit' || mode === 'proj_raw') {
    const factor = 1 + strength * (mode === 'proj_raw' ? rawNorm ** 2 : 1);
    return { ...where, kind: 'project', directions: values, factor };
  }
  const scale = mode === 'add' ? rawNorm : residualNorm;
  return { ...where, kind: 'add', vector: values, strength: strength * scale };
}

async function latentEdit(opening: Opening, use: ClampedLatent, at: string): Promise<Intervention> {
  const { context, model, allowMismatch } = opening;
  const { sae, hook } = await openSae(context, use.sae, model, { allowMismatch });
  const condition = use.when && (await conditionOf(opening, use.when, hook, at));
  return { ...latentClamp(sae, hook, use.latent, use.value), ...(condition && { condition }) };
}

async function conditionOf(
  opening: Opening,
  { vector, above }: NonNullable<SteeredVector['when']>,
  hook: string,
  at: string,
): Promise<Condition> {
  const probe = await vectorOf(opening, vector);
  if (probe.hook !== hook) {
    const detail = `${at}/when: the condition's vector is of ${probe.hook}, what it decides on of ${hook}`;
    throw new SextantError('data_invalid', `${detail}; give one of the same hook point`);
  }
  return { direction: probe.values, above: above * probe.residualNorm };
}

async function vectorOf({ context, model, allowMismatch }: Opening, vector: SteeringVector): Promise<OpenedVector> {
  if (typeof vector === 'string') {
    return openVector(context, vector, model, allowMismatch);
  }
  if ('name' in vector) {
    throw new SextantError('input_not_found', `the vector name "${vector.name}" was not resolved`);
  }
  const { hook, values, residual_norm = 1 } = vector;
  const width = model.model.widthAt(hook);
  if (width !== values.length) {
    throw new SextantError('width_mismatch', `a vector of ${values.length} values for ${hook}, which has ${width}`);
  }
  return { hook, values: unitVector(values), residualNorm: residual_norm, rawNorm: Math.hypot(...values) };
}
