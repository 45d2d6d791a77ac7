/** Answers in OpenAI's shape, whole or in chunks, made of a job's result or of the pieces of its texts. */
import type { Job } from '../../shared/contracts/job.ts';
import type { Alternative, TokenPiece } from '../../shared/contracts/token-piece.ts';
import type { Answering } from './job-params.ts';
import type { Generated } from './texts.ts';

export type Kind = 'chat' | 'completion';
type Text = Generated['runs'][number]['texts'][number];
type Likelihoods = Pick<TokenPiece, 'log_probabilities' | 'token_texts' | 'alternatives' | 'text_from'>;
type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number };

/** What all chunks of an answer, and the whole one, begin with. */
export type Opening = { kind: Kind; id: string; created: number; model: string };

const finishOf = (finish: Text['finish']): 'length' | 'stop' => (finish === 'length' ? 'length' : 'stop');

/** Bytes of a token's text; null where it is a part of a character. */
const bytesOf = (text: string): number[] | null =>
  text.includes('\ufffd') ? null : [...new TextEncoder().encode(text)];

const chatToken = ({ text, log_probability }: Pick<Alternative, 'text' | 'log_probability'>) => ({
  token: text,
  logprob: log_probability,
  bytes: bytesOf(text),
});

function likelihoods(kind: Kind, { log_probabilities, token_texts, alternatives, text_from }: Likelihoods) {
  if (!token_texts) {
    return null;
  }
  if (kind === 'chat') {
    const content = token_texts.map((text, i) => ({
      ...chatToken({ text, log_probability: log_probabilities[i] ?? 0 }),
      top_logprobs: (alternatives?.[i] ?? []).map(chatToken),
    }));
    return { content, refusal: null };
  }
  let at = text_from;
  return {
    tokens: token_texts,
    token_logprobs: log_probabilities,
    top_logprobs: (alternatives ?? []).map((at) =>
      Object.fromEntries(at.map(({ text, log_probability }) => [text, log_probability])),
    ),
    text_offset: token_texts.map((text) => {
      const offset = at;
      at += text.length;
      return offset;
    }),
  };
}

/** Choices are counted through the prompts of the first run, then of the next. */
const placeOf = (run: number, prompt: number, { params }: Answering): number =>
  run * (params.prompts as unknown[]).length + prompt;

function usageOf({ prompt_tokens, tokens }: Pick<Generated, 'prompt_tokens' | 'tokens'>, of: Answering): Usage {
  // copies of a prompt are one prompt
  const read = prompt_tokens.filter((_, i) => i % of.copies === 0).reduce((sum, count) => sum + count, 0);
  return { prompt_tokens: read, completion_tokens: tokens, total_tokens: read + tokens };
}

const head = ({ kind, id, created, model }: Opening, chunk: boolean) => ({
  id: `${kind === 'chat' ? 'chatcmpl' : 'cmpl'}-${id}`,
  object: kind === 'chat' ? (chunk ? 'chat.completion.chunk' : 'chat.completion') : 'text_completion',
  created,
  model,
  system_fingerprint: null,
});

/** The whole answer of the job `job`, of all its texts. */
export function wholeAnswer(opening: Opening, of: Answering, job: string, result: Generated) {
  const choices = result.runs.flatMap(({ label, texts }, run) =>
    texts.map((text, prompt) => ({
      index: placeOf(run, prompt, of),
      ...(opening.kind === 'chat'
        ? { message: { role: 'assistant', content: text.text, refusal: null } }
        : { text: text.text }),
      logprobs: likelihoods(opening.kind, {
        log_probabilities: text.log_probabilities,
        token_texts: text.token_texts ?? null,
        alternatives: text.alternatives ?? null,
        text_from: 0,
      }),
      finish_reason: finishOf(text.finish),
      ...(of.runs.length > 1 && { run: label }),
    })),
  );
  return { ...head(opening, false), choices, usage: usageOf(result, of), job };
}

/** Chunks of one answer, in the order of what is told. */
export class Chunks {
  readonly #opening: Opening;
  readonly #of: Answering;
  readonly #withUsage: boolean;
  /** Length of the text told of each choice; null once it has ended. */
  readonly #told = new Map<number, number | null>();

  constructor(opening: Opening, of: Answering, withUsage: boolean) {
    this.#opening = opening;
    this.#of = of;
    this.#withUsage = withUsage;
  }

  /** Chunks of one piece: its text, and the end of the choice where it has come. */
  piece(piece: TokenPiece): unknown[] {
    const index = placeOf(piece.run, piece.prompt, this.#of);
    const chunks = this.#begin(index, piece.run);
    if (piece.tokens.length > 0 || piece.text !== '') {
      chunks.push(this.#chunk(index, piece.run, piece.text, likelihoods(this.#opening.kind, piece), null));
    }
    this.#told.set(index, piece.text_from + piece.text.length);
    return piece.finish ? [...chunks, ...this.#end(index, piece.run, piece.finish)] : chunks;
  }

  /** Chunks after the job has succeeded: what was not told of its texts, and the usage. */
  *rest(job: Job): Generator<unknown, void> {
    const result = job.result as Generated;
    for (const [run, { texts }] of result.runs.entries()) {
      for (const [prompt, { text, finish }] of texts.entries()) {
        const index = placeOf(run, prompt, this.#of);
        const told = this.#told.get(index);
        if (told === null) {
          continue;
        }
        yield* this.#begin(index, run);
        if ((told ?? 0) < text.length) {
          yield this.#chunk(index, run, text.slice(told ?? 0), null, null);
        }
        yield* this.#end(index, run, finish);
      }
    }
    if (this.#withUsage) {
      yield { ...head(this.#opening, true), choices: [], usage: usageOf(result, this.#of) };
    }
  }

  #begin(index: number, run: number): unknown[] {
    if (this.#told.has(index)) {
      return [];
    }
    this.#told.set(index, 0);
    return this.#opening.kind === 'chat'
      ? [this.#choice(index, run, { delta: { role: 'assistant', content: '' } }, null, null)]
      : [];
  }

  #chunk(index: number, run: number, text: string, logprobs: unknown, finish: string | null): unknown {
    const said = this.#opening.kind === 'chat' ? { delta: { content: text } } : { text };
    return this.#choice(index, run, said, logprobs, finish);
  }

  #end(index: number, run: number, finish: Text['finish']): unknown[] {
    this.#told.set(index, null);
    const said = this.#opening.kind === 'chat' ? { delta: {} } : { text: '' };
    return [this.#choice(index, run, said, null, finishOf(finish))];
  }

  #choice(index: number, run: number, said: object, logprobs: unknown, finish_reason: string | null): unknown {
    const { runs } = this.#of;
    const choice = { index, ...said, logprobs, finish_reason, ...(runs.length > 1 && { run: runs[run] }) };
    return { ...head(this.#opening, true), choices: [choice], ...(this.#withUsage && { usage: null }) };
  }
}
