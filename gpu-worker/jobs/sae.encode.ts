/** Handler of `sae.encode`: texts through a model, or rows of files, into codes. */
import type { ParamsOf, ResultOf } from '../../shared/jobs/contract.ts';
import contract, { BLOCK_ROWS, FIRST_ROWS } from '../../shared/jobs/sae.encode.ts';
import { manifestId } from '../../shared/signing/digest.ts';
import { activations, tokenText } from '../lm/index.ts';
import { Encoder, encodeActivations, reconstruct, tokenCodes } from '../sae/index.ts';
import { handle, type JobContext, type JobOutcome } from './handler.ts';
import { openActivations } from './inputs/activation-files.ts';
import { openCorpus, sequencesPerPass } from './inputs/corpus-input.ts';
import { openModel } from './inputs/model-input.ts';
import { CodeShards } from './outputs/code-shards.ts';
import { linesBeyond, SHOWN_CHARACTERS } from './outputs/lines-file.ts';
import { reportManifest } from './outputs/report.ts';
import { openSae, openSaeForRows } from './outputs/sae-artefact.ts';

const TEXTS_FILE = 'codes.jsonl';
type Params = ParamsOf<typeof contract>;
type Result = ResultOf<typeof contract>;

export default handle(contract, async (context) => {
  const { model, texts, activations: files } = context.params;
  const encoder = new Encoder({ threads: context.configuration.threads, spinning: false });
  try {
    if (files) {
      return await encodeFiles(context, files, encoder);
    }
    if (!model || !texts) {
      throw new RangeError('params without activations name a model and texts');
    }
    return await encodeTexts(context, { model, texts }, encoder);
  } finally {
    await encoder.release();
  }
});

async function encodeFiles(
  context: JobContext<Params>,
  given: NonNullable<Params['activations']>,
  encoder: Encoder,
): Promise<JobOutcome<Result>> {
  const { params } = context;
  const opened = await openActivations(context, given);
  const { files, count, digest, origin } = opened;
  const { sae, hook, mismatch } = await openSaeForRows(context, params.sae, opened, params.allow_mismatch);
  const shards = new CodeShards(context);
  const first: Result['first_rows'] = [];
  let room = SHOWN_CHARACTERS;
  for (let from = 0; from < files.rows; from += BLOCK_ROWS) {
    const x = files.read([{ from, count: Math.min(BLOCK_ROWS, files.rows - from) }]);
    const codes = await encodeActivations(sae, x, encoder);
    const of = { x, hat: reconstruct(sae, codes), inputs: files.width };
    const errors = Array.from(
      { length: codes.rows },
      (_, row) => tokenCodes(codes, row, { ...of, strongest: 0 }).error,
    );
    for (let row = 0; row < codes.rows && from + row < FIRST_ROWS && room > 0; row++) {
      const shown = { row: from + row, ...tokenCodes(codes, row, { ...of, strongest: params.strongest }) };
      room -= JSON.stringify(shown).length;
      if (room > 0) {
        first.push(shown);
      }
    }
    await shards.add(codes, errors);
    context.progress({ fraction: (0.98 * (from + codes.rows)) / files.rows, stage: 'encoding', metrics: { texts: 0 } });
  }
  await shards.finish();
  const { blobs } = shards;
  const rows = { files: count, sent: files.rows, used: files.rows, left_out: {} };
  const body = { rows, shards: blobs.length, mismatch, sae: params.sae };
  const of = { method: contract.type, params, model: origin, seed: null, hook, dataDigest: digest };
  const report = reportManifest({ ...of, blobs, body });
  return {
    result: {
      texts: [],
      texts_file: null,
      text: null,
      rows,
      first_rows: first,
      shards: blobs.length,
      report: await manifestId(report),
      mismatch,
    },
    published: [report],
    metrics: {},
    run: { device: 'cpu', dtype: 'float32', seed: null, tolerance: null },
  };
}

async function encodeTexts(
  context: JobContext<Params>,
  { model: reference, texts: given }: { model: NonNullable<Params['model']>; texts: readonly string[] },
  encoder: Encoder,
): Promise<JobOutcome<Result>> {
  const { params } = context;
  const opened = await openModel(context, reference);
  const { model } = opened;
  try {
    const { sae, hook, mismatch } = await openSae(context, params.sae, opened, {
      allowMismatch: params.allow_mismatch,
    });
    const { inputs } = sae.parameters;
    const corpus = await openCorpus(context, { texts: [...given] }, model, opened.digest);
    const length = Math.min(params.context, model.architecture.context);
    const { packing, strongest } = params;
    const reading = corpus.read({ split: 'all', packing, length, limit: Number.POSITIVE_INFINITY, as: 'rows' });
    const text = tokenText(model);
    const texts: Result['texts'] = given.map((_, document) => ({ document, tokens: [] }));
    for await (const block of activations(model, reading, { hooks: [hook], batch: sequencesPerPass(length) })) {
      const x = block.values[hook] ?? new Float32Array();
      const codes = await encodeActivations(sae, x, encoder);
      const of = { x, hat: reconstruct(sae, codes), inputs, strongest };
      let last = 0;
      for (const [row, id] of block.tokens.entries()) {
        last = block.documents[row] ?? 0;
        texts[last]?.tokens.push({
          id,
          position: block.places[row] ?? 0,
          text: text(id),
          ...tokenCodes(codes, row, of),
        });
      }
      context.progress({ fraction: (last + 1) / texts.length, stage: 'encoding', metrics: { texts: last + 1 } });
    }
    const lines = texts.flatMap(({ document, tokens }) => tokens.map((token) => ({ document, ...token })));
    const { shown, file } = await linesBeyond(context, TEXTS_FILE, lines);
    let left = shown;
    for (const one of texts) {
      one.tokens = one.tokens.slice(0, left);
      left -= one.tokens.length;
    }
    const account = await reading.account();
    return {
      result: { texts, texts_file: file, text: account, rows: null, first_rows: [], shards: 0, report: null, mismatch },
      published: [],
      metrics: {},
      run: { device: opened.provider, dtype: 'float32', seed: null, tolerance: null },
    };
  } finally {
    await model.release();
  }
}
