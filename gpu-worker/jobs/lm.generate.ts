/** Handler of `lm.generate`: every run continues the same prompts from the same seed. */
import contract from '../../shared/jobs/lm.generate.ts';
import { GenerationThreads, generateInBatches, renderChat, tokenText } from '../lm/index.ts';
import { handle } from './handler.ts';
import { openModel } from './inputs/model-input.ts';
import { openPlacedSteering } from './inputs/steering-input.ts';
import { encodeTexts, requireTokenizer } from './inputs/tokens.ts';
import { linesBeyond } from './outputs/lines-file.ts';
import { shownAlternatives, TokenPieces } from './outputs/token-pieces.ts';

const TEXTS_FILE = 'texts.jsonl';

export default handle(contract, async (context) => {
  const { params } = context;
  const opened = await openModel(context, params.model);
  const { model } = opened;
  const { tellTokens } = context;
  // threads keep their tokens until the end
  const threads = tellTokens
    ? null
    : GenerationThreads.for(model, params.prompts.length, context.configuration.threads);
  try {
    const tokenizer = requireTokenizer(model);
    const prompts = params.prompts.map((prompt, i) =>
      typeof prompt === 'string'
        ? encodeTexts(model, [prompt], `/prompts/${i}`)[0]!
        : tokenizer.encode(renderChat(tokenizer, prompt), { special: false }),
    );
    const began = performance.now();
    const runs = [];
    let tokens = 0;
    for (const [i, run] of params.runs.entries()) {
      const interventions = await openPlacedSteering(context, run, opened, {
        allowMismatch: params.allow_mismatch,
        steer: params.steer,
      });
      const options = {
        maxTokens: params.max_tokens,
        temperature: params.temperature,
        ...(params.top_k !== null && { topK: params.top_k }),
        ...(params.top_p !== null && { topP: params.top_p }),
        repetitionPenalty: params.repetition_penalty,
        stop: params.stop,
        alternatives: params.alternatives ?? 0,
        seed: params.seed,
        interventions,
      };
      const detailed = params.alternatives !== null;
      const done = (prompts_done: number) =>
        context.progress({
          fraction: (i + prompts_done / prompts.length) / params.runs.length,
          stage: 'generating',
          metrics: { runs: i, prompts: prompts_done },
        });
      // whoever waits learns that the request fits
      done(0);
      const pieces = tellTokens && new TokenPieces(model, { run: i, prompts, stop: params.stop, detailed }, tellTokens);
      const texts = await generateInBatches(model, prompts, options, {
        heard: (token) => pieces?.heard(token),
        running: opened.running,
        owner: context.owner ?? '',
        signal: context.stopping,
        // what is built for a graph cannot be sent to a thread
        threads: interventions.some(({ kind }) => kind === 'splice') ? null : threads,
        done,
      });
      pieces?.ended(texts);
      tokens += texts.reduce((sum, text) => sum + text.tokens.length, 0);
      runs.push({
        label: run.label,
        texts: texts.map(({ text, tokens, logProbabilities, finish, alternatives }) => ({
          text,
          tokens,
          log_probabilities: logProbabilities,
          finish,
          ...(detailed && {
            token_texts: tokens.map(tokenText(model)),
            alternatives: alternatives.map((at) => shownAlternatives(model, at)),
          }),
        })),
      });
    }
    const lines = runs.flatMap(({ texts }, run) => texts.map((text, prompt) => ({ run, prompt, ...text })));
    const { shown, file } = await linesBeyond(context, TEXTS_FILE, lines);
    const fitting = (run: number): number => Math.max(0, Math.min(prompts.length, shown - run * prompts.length));
    return {
      result: {
        runs: runs.map(({ label, texts }, run) => ({ label, texts: texts.slice(0, fitting(run)) })),
        tokens,
        texts_file: file,
        prompt_tokens: prompts.map(({ length }) => length),
        publisher_settings: model.published.notApplied,
      },
      published: [],
      metrics: { tokens_per_s: tokens / ((performance.now() - began) / 1000) },
      run: { device: opened.provider, dtype: 'float32', seed: params.seed, tolerance: null },
    };
  } finally {
    await threads?.close();
    await model.release();
  }
});
