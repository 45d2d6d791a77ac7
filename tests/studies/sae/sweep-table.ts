/** AbsTopK against TopK on a language model, through the jobs a client would run: the reproducible part of check 15. */
import type { LocalJobs } from '../../support/job-context.ts';
import { type Subject, trainAndEvaluate } from './trained.ts';

export type SweepSettings = {
  ks: readonly number[];
  seeds: readonly number[];
  steps: number;
  batch: number;
  /** Width of the SAEs in multiples of the width of the activations. */
  expansion: number;
  tokens: number;
};
export type Cell = { mean: number; deviation: number; seeds: number };
export type SweepRow = {
  k: number;
  what: string;
  width: number;
  /** Numbers in both matrices and both biases. */
  parameters: number;
  nmse: Cell;
  /** nMSE minus that of TopK(P) at the same k and seed. */
  excess: Cell;
  fvu: Cell;
  recovered: Cell;
  minority_share: Cell;
  dead_share: Cell;
};
type Measured = {
  id: string;
  variant: string;
  width: number;
  k: number;
  nmse: number;
  fvu: number;
  dead_share: number;
  minority_share_05: number;
  loss: { recovered: number; original: number; cross_entropy: { identity: number } };
};

export const cell = (values: readonly number[]): Cell => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(square / Math.max(values.length - 1, 1)), seeds: values.length };
};

/** AbsTopK(P), TopK(P) and TopK(2P) at every k and seed, in one sweep over one stream of activations. */
export async function sweepTable(
  jobs: LocalJobs,
  subject: Subject,
  settings: SweepSettings,
  note: (text: string) => void,
): Promise<{ rows: SweepRow[]; tokensPerSecond: number; identityError: number }> {
  const P = settings.expansion * subject.width;
  const ways = [
    { what: 'AbsTopK(P)', variant: 'abstopk', width: P },
    { what: 'TopK(P)', variant: 'topk', width: P },
    { what: 'TopK(2P)', variant: 'topk', width: 2 * P },
  ];
  const specs = settings.ks.flatMap((k) =>
    ways.flatMap((way) => settings.seeds.map((seed) => ({ variant: way.variant, width: way.width, k, seed }))),
  );
  const { evaluated: measured, tokensPerSecond } = await trainAndEvaluate<Measured>(jobs, subject, settings, specs, {
    tokens: settings.tokens,
    loss_sequences: 48,
  });
  note(`trained ${specs.length} autoencoders, ${Math.round(tokensPerSecond)} tokens/s through all of them`);
  const rows = settings.ks.flatMap((k) =>
    ways.map(({ what, variant, width }): SweepRow => {
      const own = measured.filter((sae) => sae.k === k && sae.variant === variant && sae.width === width);
      const of = (value: (sae: Measured) => number) => cell(own.map(value));
      const plain = measured.filter((sae) => sae.k === k && sae.variant === 'topk' && sae.width === P);
      return {
        k,
        what,
        width,
        parameters: 2 * width * subject.width + width + subject.width,
        nmse: of((sae) => sae.nmse),
        // Both lists are in the order of the seeds.
        excess: cell(own.map((sae, i) => sae.nmse - plain[i]!.nmse)),
        fvu: of((sae) => sae.fvu),
        recovered: of((sae) => sae.loss.recovered),
        minority_share: of((sae) => sae.minority_share_05),
        dead_share: of((sae) => sae.dead_share),
      };
    }),
  );
  const identityError = Math.max(...measured.map(({ loss }) => Math.abs(loss.cross_entropy.identity - loss.original)));
  return { rows, tokensPerSecond, identityError };
}

/** One seed has no deviation. */
const show = ({ mean, deviation, seeds }: Cell): string =>
  seeds > 1 ? `${mean.toFixed(4)} ± ${deviation.toFixed(4)}` : mean.toFixed(4);

export function sweepMarkdown(rows: readonly SweepRow[]): string {
  const lines = rows.map(
    (row) =>
      `| ${row.k} | ${row.what} | ${row.parameters} | ${show(row.nmse)} | ${show(row.excess)} | ${show(row.recovered)} | ${row.minority_share.mean.toFixed(3)} | ${row.dead_share.mean.toFixed(3)} |`,
  );
  return [
    '| k | code | parameters | nMSE | minus TopK(P) | loss recovered | BD(0.05) | dead |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}
