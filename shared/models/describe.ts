/** From a model's `config.json` to what it computes, what it stores and which hook points it has. */
import { SextantError } from '../contracts/problem.ts';
import { type Architecture, countParameters, type Family } from './architecture.ts';
import { ConfigReader } from './config-reader.ts';
import { ALL_FAMILIES } from './families/index.generated.ts';
import { listHooks } from './hooks.ts';

/** Every supported family by its `model_type`. */
export const FAMILIES: Record<string, Family> = Object.fromEntries(
  ALL_FAMILIES.map((family) => [family.modelType, family]),
);

/** The family of a model. @throws SextantError `model_unsupported` */
export function familyOf(modelType: string): Family {
  const family = Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType] : undefined;
  if (!family) {
    throw new SextantError(
      'model_unsupported',
      `model_type '${modelType}' is not supported; supported are ${Object.keys(FAMILIES).join(', ')}`,
    );
  }
  return family;
}

/** What the model of a `config.json` computes. @throws SextantError `model_unsupported` naming the field */
export function parseArchitecture(config: unknown): Architecture {
  const reader = new ConfigReader(config);
  const architecture = familyOf(reader.modelType).architecture(reader);
  reader.finish();
  return architecture;
}

type LanguageModelSummary = {
  family: string;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  width: number;
  mlpWidth: number;
  vocabulary: number;
  context: number;
  parallel: boolean;
  parameters: number;
  /** Every hook point, in `parseHook`'s spelling. */
  hooks: string[];
};

/** The sizes and hook points of the model of a `config.json`. @throws SextantError `model_unsupported` */
export function describe(config: unknown): LanguageModelSummary {
  const a = parseArchitecture(config);
  const { family, layers, heads, kvHeads, headDim, width, mlpWidth, vocabulary, context, parallel, experts } = a;
  const parameters = countParameters(familyOf(family).weights(a));
  const sizes = { layers, heads, kvHeads, headDim, width, mlpWidth, parallel };
  return { family, ...sizes, vocabulary, context, parameters, hooks: listHooks({ ...sizes, experts }) };
}
