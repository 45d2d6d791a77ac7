/** What is done with a refusal direction while a model runs: ablation, linear or affine, and addition. */

/** Edits that hold for a forward pass and while generating. */
export type SteadyEdit =
  | { kind: 'add'; hook: string; vector: Float32Array; strength: number }
  | { kind: 'project'; hook: string; directions: Float32Array; factor: number };

type Removal = {
  /** Unit vectors: one, or one per row of the batch side by side. */
  unit: Float32Array;
  /** Affine removal: the projection that stays everywhere, such as the harmless mean; 0 is linear removal. */
  mean?: number;
};

/**
 * x - u (u . x) on what enters the first block and on what attention and MLP add to the stream, after any post-norm. No
 * later block then receives anything along u, so nothing is left to remove there. Affine removal puts a constant back in
 * before the first block: every later stream has it.
 */
export function ablation(layers: number, { unit, mean = 0 }: Removal): SteadyEdit[] {
  const hooks = [
    'resid_pre.0',
    ...Array.from({ length: layers }, (_, layer) => [`attn_out.${layer}`, `mlp_out.${layer}`]).flat(),
  ];
  return [
    ...hooks.map((hook): SteadyEdit => ({ kind: 'project', hook, directions: unit, factor: 0 })),
    ...(mean === 0 ? [] : [{ kind: 'add' as const, hook: 'resid_pre.0', vector: unit, strength: mean }]),
  ];
}

/** x + strength * vector on what enters a block, at every position. */
export const addition = (layer: number, vector: Float32Array, strength = 1): SteadyEdit[] =>
  strength === 0 ? [] : [{ kind: 'add', hook: `resid_pre.${layer}`, vector, strength }];
