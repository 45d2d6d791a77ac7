/**
 * `verify -- sae-folder DIR`: opens the autoencoder of another library in DIR (`cfg.json` and `w.safetensors`, or
 * `params.npz` alone) and compares its codes and reconstructions of the rows `x` of `DIR/../x.safetensors` with `z` and `xhat`
 * of `DIR/expected.safetensors`. The last line is {"variant", "z", "xhat"} with the largest absolute differences, or
 * {"refused": code}.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../shared/contracts/problem.ts';
import { readSafetensors } from '../../shared/formats/safetensors.ts';
import { denseCodes, Encoder, encodeActivations, readSae, reconstruct, SAE_FILES } from '../sae/index.ts';
import { differences } from './report.ts';

type FolderReport = { variant: string; z: number; xhat: number } | { refused: string };

/** Runs the comparison; used by the command and by the tests. */
export async function compareSaeFolder(folder: string): Promise<FolderReport> {
  const encoder = new Encoder({ threads: 1 });
  try {
    const sae = readSae(readFileSync(weightsIn(folder)), configIn(folder));
    const [only] = [...readSafetensors(readFileSync(join(folder, '..', 'x.safetensors'))).header.tensors.keys()];
    const x = readSafetensors(readFileSync(join(folder, '..', 'x.safetensors')))
      .float32(only!)
      .slice();
    const expected = readSafetensors(readFileSync(join(folder, 'expected.safetensors')));
    const codes = await encodeActivations(sae, x, encoder);
    return {
      variant: sae.pursuit ? 'matching_pursuit' : (sae.code ?? sae.variant),
      z: differences(denseCodes(codes, sae.parameters.width), expected.float32('z')).abs,
      xhat: differences(reconstruct(sae, codes), expected.float32('xhat')).abs,
    };
  } catch (error) {
    if (!(error instanceof SextantError)) {
      throw error;
    }
    console.error(`${error.code}: ${error.message}`);
    return { refused: error.code };
  } finally {
    await encoder.release();
  }
}

const inFolder = (folder: string, names: readonly string[]): string | undefined =>
  names.map((name) => join(folder, name)).find(existsSync);

function weightsIn(folder: string): string {
  const found = inFolder(folder, SAE_FILES.weights);
  if (!found) {
    throw new SextantError('data_invalid', `the folder has none of ${SAE_FILES.weights.join(', ')}`);
  }
  return found;
}

function configIn(folder: string): Record<string, unknown> {
  const file = inFolder(folder, SAE_FILES.config);
  return file ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
}

export async function verifySaeFolder(args: readonly string[]): Promise<void> {
  const [folder, ...more] = args;
  if (!folder || more.length > 0) {
    console.error('usage: verify -- sae-folder DIR');
    process.exit(2);
  }
  console.log(JSON.stringify(await compareSaeFolder(folder)));
}
