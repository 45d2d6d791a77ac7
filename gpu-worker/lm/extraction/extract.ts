/** A model's activations over a corpus, shard by shard, from any place where a whole shard ended. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { CorpusPosition, PassageReading } from '../corpus/passages.ts';
import { activations } from '../inference/activations.ts';
import type { LanguageModel } from '../inference/model.ts';
import { ActivationShard, type StoredDtype } from './activation-shard.ts';
import type { ActivationStatistics } from './activation-statistics.ts';

/** Widths by hook. */
export type HookWidths = Readonly<Record<string, number>>;

/** Moves on with the extraction. */
export type ExtractionPlace = {
  /** Tokens in the finished shards. */
  tokens: number;
  /** Where the pass over the corpus begins in which the next token lies, and how many tokens of it are done. */
  position: CorpusPosition | undefined;
  done: number;
  /** By hook, in the order of the widths. */
  statistics: ReadonlyMap<string, ActivationStatistics>;
};

type ExtractionOptions = {
  widths: HookWidths;
  dtype: StoredDtype;
  /** Tokens in all, and in a shard at most. */
  tokens: number;
  shardTokens: number;
  /** Sequences of one forward pass. */
  batch: number;
  /** Takes a shard when the place stands behind it. */
  store(shard: ActivationShard): Promise<void>;
  progress(now: ExtractionProgress): void;
};
type ExtractionProgress = { tokens: number; tokensPerSecond: number; secondsLeft: number };

/** @throws SextantError `hook_unknown` for a hook whose values have no fixed width */
export function hookWidths(model: LanguageModel, hooks: readonly string[]): HookWidths {
  const width = (hook: string): number => {
    const found = model.widthAt(hook);
    if (found === null) {
      throw new SextantError('hook_unknown', `'${hook}' has no vectors of fixed width to store`);
    }
    return found;
  };
  return Object.fromEntries(hooks.map((hook) => [hook, width(hook)]));
}

/** Of a reading whose rows are all stored the rest is only counted. */
async function countRest(reading: PassageReading): Promise<readonly []> {
  for await (const _ of reading) {
    // Its account is kept by the reading.
  }
  return [];
}

/**
 * Reads on from a place, which it moves, until `tokens` are stored or the corpus ends.
 * @returns tokens per second of this run
 * @throws SextantError as `activations`
 */
export async function extractActivations(
  model: LanguageModel,
  reading: PassageReading,
  place: ExtractionPlace,
  { widths, dtype, tokens, shardTokens, batch, store, progress }: ExtractionOptions,
): Promise<number> {
  const hooks = [...place.statistics].map(([hook, statistics]) => ({ hook, statistics, width: statistics.width }));
  const resumed = place.tokens;
  const began = performance.now();
  let shard = new ActivationShard(widths, dtype);
  const read = () => place.tokens + shard.tokens;
  const rate = () => (read() - resumed) / ((performance.now() - began) / 1000);
  const close = async () => {
    if (shard.tokens > 0) {
      const full = shard;
      place.tokens += full.tokens;
      shard = new ActivationShard(widths, dtype);
      await store(full);
    }
  };
  const of = { hooks: hooks.map(({ hook }) => hook), batch, resumed: resumed > 0 };
  const blocks = read() < tokens ? activations(model, reading, of) : await countRest(reading);
  for await (const block of blocks) {
    while (place.done < block.count && read() < tokens) {
      const take = Math.min(block.count - place.done, tokens - read(), shardTokens - shard.tokens);
      for (const { hook, statistics, width } of hooks) {
        const part = block.values[hook]?.subarray(place.done * width, (place.done + take) * width);
        if (!part) {
          throw new RangeError(`a pass gave nothing at ${hook}`);
        }
        statistics.add(part);
        shard.add(hook, part);
      }
      const [from, to] = [place.done, place.done + take];
      shard.addPlaces({
        token_ids: block.tokens.subarray(from, to),
        positions: block.places.subarray(from, to),
        documents: block.documents.subarray(from, to),
      });
      place.done += take;
      if (shard.tokens === shardTokens) {
        await close();
      }
    }
    progress({ tokens: read(), tokensPerSecond: rate(), secondsLeft: (tokens - read()) / rate() });
    if (read() >= tokens) {
      break;
    }
    place.position = block.next ?? place.position;
    place.done = 0;
  }
  const pace = rate();
  await close();
  return pace;
}
