/** A model in one word: what clients write into a field `model`, and what lists of models show. */
import { z } from 'zod';
import { type ModelReference, modelReferenceSchema } from '../contracts/model.ts';

const PUBLISHER = 'huggingface';

/** The reference that a name stands for; null for a text that is none. */
export function readModelName(name: string): ModelReference | null {
  const hub = /^hub:([^:]+):(.+)$/.exec(name);
  const [source, path] = hub ? [hub[1], hub[2] ?? ''] : [PUBLISHER, name];
  const at = path.lastIndexOf('@');
  const reference = name.startsWith('mdl_')
    ? { id: name }
    : at > 0
      ? { hub: source, repo: path.slice(0, at), revision: path.slice(at + 1) }
      : { local: name.replace(/^local:/, '') };
  const parsed = modelReferenceSchema.safeParse(reference);
  return parsed.success ? parsed.data : null;
}

/** The shortest name of the model with this key (`modelKey`). */
export const modelName = (key: string): string =>
  key.replace(/^local:/, '').replace(new RegExp(`^hub:${PUBLISHER}:`), '');

/** A model by name or as a reference; becomes the reference. */
export const requestedModelSchema = z.union([
  z
    .string()
    .max(400)
    .transform((name, context) => {
      const reference = readModelName(name);
      if (!reference) {
        context.issues.push({
          code: 'custom',
          input: name,
          message: 'a model is an alias, an mdl_ id, or repository@commit',
        });
        return z.NEVER;
      }
      return reference;
    })
    .describe('an alias, an mdl_ id, or repository@commit'),
  modelReferenceSchema,
]);
