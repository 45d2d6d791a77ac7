/** The files of a model as they were uploaded, side by side in a folder: nothing in them is executed or unpickled. */
import { createWriteStream, existsSync, readdirSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/model.import.ts';
import type { JobContext } from '../handler.ts';
import { appendFile } from '../outputs/file-parts.ts';
import { unpackArchive } from './archive.ts';

type Params = ParamsOf<typeof contract>;
type ImportedFolder = { folder: string; left_out: string[]; digests: string[] };

/** What a model or an adapter is made of. */
const WANTED =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|adapter_config|quantize_config|quant_config)\.json$|\.safetensors(\.index\.json)?$|\.gguf$|^chat_template\.jinja$/;
/** One of these says what the others are; a GGUF file says that itself. */
const DESCRIBED = /^(adapter_)?config\.json$|\.gguf$/;
const PICKLED = /\.(bin|pt|pth|ckpt|pkl|pickle)$/;

/** @throws SextantError `data_invalid`, `input_not_found`, and as `unpackArchive` */
export async function openImported(context: JobContext<Params>): Promise<ImportedFolder> {
  const { source, max_bytes } = context.params;
  const folder = join(context.scratch, 'imported');
  await mkdir(folder);
  const digests: string[] = [];
  if ('files' in source) {
    const names = source.files.map(({ name }) => name);
    const twice = names.findIndex((name, i) => names.indexOf(name) !== i);
    if (twice >= 0) {
      throw paramError('data_invalid', `/source/files/${twice}/name`, `'${names[twice]}' is there twice`);
    }
    const wanted = source.files.filter(({ name }) => WANTED.test(name));
    for (const { name, parts } of wanted) {
      digests.push(...(await joinParts(context, parts, join(folder, name))));
    }
    const left_out = names.filter((name) => !WANTED.test(name));
    return checked({ folder, left_out, digests });
  }
  const archive = join(context.scratch, 'archive');
  digests.push(...(await joinParts(context, source.archive, archive)));
  const left_out = await unpackArchive(archive, {
    limit: max_bytes,
    place(path) {
      const to = join(folder, basename(path));
      if (!WANTED.test(basename(path)) || path.split('/').length > 2) {
        return null;
      }
      if (existsSync(to)) {
        throw new SextantError('data_invalid', `the archive holds ${basename(path)} twice`);
      }
      return to;
    },
  });
  return checked({ folder, left_out, digests });
}

function checked(imported: ImportedFolder): ImportedFolder {
  const { folder, left_out } = imported;
  if (readdirSync(folder).some((name) => DESCRIBED.test(name))) {
    return imported;
  }
  const pickled = left_out.find((name) => PICKLED.test(name));
  throw new SextantError(
    'data_invalid',
    pickled
      ? `${basename(pickled)} is a pickle, which can run any code when opened: convert the model to safetensors where you trust the file`
      : 'there is no config.json, no adapter_config.json and no GGUF file among the files',
  );
}

/** Writes the bytes of the artefacts one after another. @returns their digests */
async function joinParts(context: JobContext<Params>, ids: readonly string[], to: string): Promise<string[]> {
  const out = createWriteStream(to);
  const digests: string[] = [];
  for (const id of ids) {
    const input = context.input(id);
    const [blob] = input.blobs;
    if (!blob) {
      throw new SextantError('input_not_found', `the artefact ${id} has no bytes`);
    }
    digests.push(blob.sha256);
    await appendFile(out, await input.file(blob.name));
  }
  out.end();
  await finished(out);
  if ((await stat(to)).size === 0) {
    throw new SextantError('data_invalid', `${basename(to)} is empty`);
  }
  return digests;
}
