/**
 * Autoencoders from the files of other libraries, each by its own rules: SAELens, sparsify, dictionary_learning, OpenAI and
 * Gemma Scope. A field or tensor that nobody knows is refused by name, and no pickle is ever opened.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { readSafetensors, type Safetensors } from '../../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../../shared/formats/safetensors-values.ts';
import { saeVariant } from '../../../shared/models/sae-variant-facts.ts';
import { notFinite } from '../codes/parameters.ts';
import type { TrainedSae } from '../measures/evaluate.ts';
import { isDictionaryLearning, readDictionaryLearning } from './layouts/dictionary-learning.ts';
import { readGemmaScope } from './layouts/gemma-scope.ts';
import { isOpenAi, readOpenAi } from './layouts/openai.ts';
import { isSaelens, readSaelens } from './layouts/saelens.ts';
import { isSparsify, readSparsify } from './layouts/sparsify.ts';
import { isNpz, readNpz } from './npz.ts';
import { type Config, invalid, SaeSource, type TensorFile } from './source.ts';

/** Names under which the libraries store weights and configuration; only Gemma Scope has no configuration. */
export const SAE_FILES = {
  weights: ['sae_weights.safetensors', 'sae.safetensors', 'ae.safetensors', 'w.safetensors', 'params.npz'],
  config: ['cfg.json', 'config.json'],
} as const;

/** PyTorch's files are pickles: a zip archive, or the pickle itself. */
const isPickle = (bytes: Uint8Array): boolean =>
  (bytes[0] === 0x50 && bytes[1] === 0x4b) || (bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5);

/**
 * Reads weights with the configuration that lies beside them ({} where there is none).
 * @throws SextantError `data_invalid` for pickles, unknown layouts, wrong shapes and values; `model_unsupported` for kinds
 * that are not applied here and for fields and tensors that are not known; `not_finite`
 */
export function readSae(weights: Uint8Array, config: Config): TrainedSae {
  const sae = byLayout(config, openTensors(weights));
  const { parameters: p, k, variant } = sae;
  if (k !== null && k > p.width) {
    throw invalid(`k = ${k} is above the width ${p.width}`);
  }
  if (saeVariant(variant).selection === 'token' && !sae.code && saeVariant(variant).takes === 'k' && !(k && k > 0)) {
    throw invalid(`a ${variant} code needs a positive integer k in the configuration`);
  }
  const bad = notFinite(p);
  if (bad) {
    throw new SextantError('not_finite', `the weights hold a value that is not finite, in the ${bad}`);
  }
  return sae;
}

function openTensors(weights: Uint8Array): TensorFile {
  if (isPickle(weights)) {
    if (isNpz(weights)) {
      return readNpz(weights);
    }
    throw invalid(
      'the weights are a pickle, which can run any code when opened. Convert them where you trust the file: ' +
        "save_file(torch.load('ae.pt', weights_only=True), 'sae_weights.safetensors') with safetensors.torch.save_file",
    );
  }
  let file: Safetensors;
  try {
    file = readSafetensors(weights);
  } catch (error) {
    throw invalid(`the weights are not a safetensors file: ${(error as Error).message}`);
  }
  const { tensors } = file.header;
  return {
    names: [...tensors.keys()],
    shape: (name) => file.shape(name),
    values: (name) =>
      /^F|^BF/.test(tensors.get(name)!.dtype)
        ? file.float32(name)
        : Float32Array.from(toFloat64(file.bytes(name), tensors.get(name)!.dtype)),
  };
}

function byLayout(config: Config, file: TensorFile): TrainedSae {
  if (isDictionaryLearning(config)) {
    return readDictionaryLearning(config, file);
  }
  const source = new SaeSource(config, file);
  if (isSparsify(source)) {
    return readSparsify(source);
  }
  if (isOpenAi(source)) {
    return readOpenAi(source);
  }
  if (isSaelens(source)) {
    return readSaelens(source);
  }
  if (source.has('W_enc') && source.has('threshold')) {
    return readGemmaScope(source);
  }
  const names = file.names.slice(0, 12).join(', ');
  throw invalid(
    `no known layout has the tensors ${names} with this configuration; known: SAELens, sparsify, dictionary_learning, OpenAI, Gemma Scope`,
  );
}
