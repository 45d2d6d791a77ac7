/** Where a compression stands after a block: the files of the blocks done, and what was measured on them. */
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestSchema } from '../../../shared/contracts/manifest.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/model.compress.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { BlockReport, CompressionPlan, Shard } from '../../compression/index.ts';
import { BackgroundSaves, type Checkpoints } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';

const count = z.number().int().nonnegative();
const stateSchema = z.strictObject({ of: digestSchema, blocks: count });
const matrix = z.strictObject({
  name: z.string(),
  sparsity: z.number(),
  bits: z.number(),
  relative_error: z.number(),
  bytes: count,
  dense_bytes: count,
  compressed: z.boolean(),
});
const blockSchema = z.strictObject({
  shard: z.strictObject({ file: z.string().regex(/^[A-Za-z0-9._-]+$/), names: z.array(z.string()), bytes: count }),
  report: z.strictObject({
    layer: count,
    matrices: z.array(matrix),
    stream_error: z.number(),
    arisen: z.number(),
  }),
});
type FinishedBlock = { shard: Shard; report: BlockReport };

const BLOCKS = 'blocks.json';

/** Saves finished blocks beside the work; `of` is the digest of everything their bytes depend on. */
class CompressionCheckpoints {
  readonly #saves: BackgroundSaves;
  readonly #last: Checkpoints['last'];
  readonly #folder: string;
  readonly #of: string;
  readonly #blocks: FinishedBlock[] = [];

  constructor(checkpoints: Checkpoints, folder: string, of: string) {
    this.#saves = new BackgroundSaves(checkpoints);
    this.#last = checkpoints.last;
    this.#folder = folder;
    this.#of = of;
  }

  /** The blocks that an earlier attempt finished, their files put in place. @throws SextantError `unavailable`, `artefact_mismatch` */
  async load(): Promise<FinishedBlock[]> {
    const state = stateSchema.safeParse(this.#last?.state);
    if (!this.#last || !state.success || state.data.of !== this.#of) {
      return [];
    }
    const saved: unknown = JSON.parse(await readFile(await this.#last.file(BLOCKS), 'utf8'));
    const blocks = z.array(blockSchema).safeParse(saved);
    if (!blocks.success || blocks.data.length !== state.data.blocks) {
      return [];
    }
    for (const { shard } of blocks.data) {
      await copyFile(await this.#last.file(shard.file), join(this.#folder, shard.file));
    }
    this.#blocks.push(...blocks.data);
    return blocks.data;
  }

  add(block: FinishedBlock): void {
    this.#blocks.push(block);
    if (!this.#saves.due) {
      return;
    }
    const content = new TextEncoder().encode(JSON.stringify(this.#blocks));
    void this.#saves.begin({ of: this.#of, blocks: this.#blocks.length }, [
      { name: BLOCKS, content },
      ...this.#blocks.map(({ shard }) => ({ name: shard.file, content: { file: join(this.#folder, shard.file) } })),
    ]);
  }
}

/**
 * The folder that the compressed model is written to, with the blocks that an earlier attempt at the same work finished.
 * @throws SextantError `unavailable`, `artefact_mismatch`
 */
export async function openCompression(
  context: JobContext<ParamsOf<typeof contract>>,
  plan: CompressionPlan,
  model: string,
  corpus: string,
): Promise<{ checkpoints: CompressionCheckpoints; folder: string; done: FinishedBlock[] }> {
  const { tokens, held_out_tokens, context: length } = context.params;
  const params = { tokens, held_out_tokens, context: length };
  const folder = join(context.scratch, 'compressed');
  await mkdir(folder);
  const of = await sha256Hex(canonicalJson({ plan, model, corpus, params }));
  const checkpoints = new CompressionCheckpoints(context.checkpoint, folder, of);
  return { checkpoints, folder, done: await checkpoints.load() };
}
