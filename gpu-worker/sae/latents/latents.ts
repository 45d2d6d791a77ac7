/** The feature dashboard of every latent: when it fires, on what, what it does to the next token, and its relatives. */
import type { Latent, LatentIndex } from '../../../shared/contracts/latent.ts';
import { LATENTS_PER_SHARD } from '../../../shared/contracts/latent.ts';
import type { Encoder } from '../codes/encoder.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import type { SparseCodes } from '../codes/sparse-codes.ts';
import { neighbours } from '../measures/decoder-cosines.ts';
import type { HeldOut } from '../measures/held-out.ts';
import type { MetricsAccumulator } from '../measures/metrics.ts';

type LatentOptions = {
  /** Contexts shown per pole. */
  contexts: number;
  /** Tokens shown on either side. */
  reach: number;
  nearest: number;
  bins: number;
};
const DEFAULTS: LatentOptions = { contexts: 5, reach: 8, nearest: 5, bins: 20 };

/** Logit effects of unit codes: for each latent the tokens raised most and lowered most. */
export type TokenEffects = { promotes: Latent['promotes']; suppresses: Latent['suppresses'] }[];

/** Entries of each latent, in the order of the text. */
function byLatent(codes: SparseCodes, width: number): { row: number; code: number }[][] {
  const entries: { row: number; code: number }[][] = Array.from({ length: width }, () => []);
  for (let row = 0; row < codes.rows; row++) {
    for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
      const code = codes.values[entry]!;
      if (code !== 0) {
        entries[codes.latents[entry]!]!.push({ row, code });
      }
    }
  }
  return entries;
}

/** The `contexts` strongest tokens of one sign, each of another sequence where there are enough. */
function contextsOf(
  entries: readonly { row: number; code: number }[],
  sign: 1 | -1,
  held: HeldOut,
  text: (token: number) => string,
  { contexts, reach }: LatentOptions,
): Latent['contexts']['positive'] {
  const ranked = entries
    .filter(({ code }) => code * sign > 0)
    .sort((a, b) => sign * (b.code - a.code) || a.row - b.row);
  const seen = new Set<number>();
  const fresh = ranked.filter(({ row }) => {
    const sequence = held.sequences[row]!;
    if (seen.has(sequence)) {
      return false;
    }
    seen.add(sequence);
    return true;
  });
  const chosen = [...fresh, ...ranked.filter((entry) => !fresh.includes(entry))].slice(0, contexts);
  const codeAt = new Map(entries.map(({ row, code }) => [row, code]));
  return chosen.map(({ row }) => {
    const inside = (other: number) =>
      other >= 0 && other < held.tokens.length && held.sequences[other] === held.sequences[row];
    const rows = Array.from({ length: 2 * reach + 1 }, (_, i) => row - reach + i).filter(inside);
    return {
      at: rows.indexOf(row),
      tokens: rows.map((other) => ({ text: text(held.tokens[other]!), code: round(codeAt.get(other) ?? 0) })),
    };
  });
}

const round = (value: number): number => Number(value.toPrecision(6));

function histogram(codes: readonly number[], bins: number): Latent['histogram'] {
  if (codes.length === 0) {
    return { low: 0, high: 0, counts: [] };
  }
  const [low, high] = [codes.reduce((a, b) => Math.min(a, b)), codes.reduce((a, b) => Math.max(a, b))];
  const counts = new Array<number>(bins).fill(0);
  const size = (high - low) / bins || 1;
  for (const code of codes) {
    counts[Math.min(bins - 1, Math.floor((code - low) / size))]! += 1;
  }
  return { low: round(low), high: round(high), counts };
}

/** Dashboards of all latents from the codes of held-out tokens. */
export async function describeLatents(
  parameters: SaeParameters,
  codes: SparseCodes,
  metrics: MetricsAccumulator,
  held: HeldOut,
  text: (token: number) => string,
  effects: TokenEffects | null,
  encoder: Encoder,
  options: Partial<LatentOptions> = {},
): Promise<{ latents: Latent[]; index: LatentIndex }> {
  const complete = { ...DEFAULTS, ...options };
  const { width } = parameters;
  const { nearest: near } = await neighbours(parameters, complete.nearest, encoder);
  const latents = byLatent(codes, width).map((entries, latent): Latent => {
    const values = entries.map(({ code }) => code);
    return {
      latent,
      density: {
        positive: metrics.positive[latent]! / metrics.tokens,
        negative: metrics.negative[latent]! / metrics.tokens,
      },
      maximum: round(values.reduce((a, b) => Math.max(a, b), 0)),
      minimum: round(values.reduce((a, b) => Math.min(a, b), 0)),
      mean_magnitude: values.length ? round(values.reduce((sum, v) => sum + Math.abs(v), 0) / values.length) : 0,
      contexts: {
        positive: contextsOf(entries, 1, held, text, complete),
        negative: contextsOf(entries, -1, held, text, complete),
      },
      promotes: effects?.[latent]?.promotes ?? [],
      suppresses: effects?.[latent]?.suppresses ?? [],
      nearest: near[latent]!.map(({ latent: other, cosine }) => ({ latent: other, cosine: round(cosine) })),
      histogram: histogram(values, complete.bins),
    };
  });
  const column = (value: (latent: Latent) => number) => latents.map(value);
  return {
    latents,
    index: {
      count: width,
      shard: LATENTS_PER_SHARD,
      tokens: metrics.tokens,
      columns: {
        positive: column(({ density }) => density.positive),
        negative: column(({ density }) => density.negative),
        maximum: column(({ maximum }) => maximum),
        minimum: column(({ minimum }) => minimum),
      },
    },
  };
}
