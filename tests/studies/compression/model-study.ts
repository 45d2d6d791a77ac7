/** One model compressed in every way, its autoencoder studied on every copy. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../shared/contracts/problem.ts';
import compressionStudy from '../../../shared/jobs/compression.study.ts';
import modelCompare from '../../../shared/jobs/model.compare.ts';
import modelCompress from '../../../shared/jobs/model.compress.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import { chart } from '../../../shared/plots/chart.ts';
import { manifestId } from '../../../shared/signing/digest.ts';
import { data } from '../../support/guide.ts';
import { LocalJobs } from '../../support/job-context.ts';

export type StudiedModel = {
  name: string;
  folder: readonly string[];
  hook: string;
  width: number;
  k: number;
  /** Inputs that share a scale of a rounded matrix; null: all of a row. */
  group: number | null;
};
export type CopyRow = {
  label: string;
  method: string;
  /** Of the model's weights, for methods that prune. */
  asked_share: number | null;
  sparsity: number;
  bits: number;
  loss: number;
  kl: number;
  stream_error: number;
  survival: number;
  died: number;
  overlap: number;
  variants: {
    variant: string;
    share: number | null;
    fvu: number;
    l0: number;
    recovered: number;
    low: number | null;
    high: number | null;
    dense_recovered: number | null;
    alive: number;
    kl: number;
    dense_kl: number;
  }[];
};
export type ModelResult = {
  name: string;
  hook: string;
  width: number;
  k: number;
  group: number | null;
  dense_loss: number;
  dense: { fvu: number; l0: number; recovered: number };
  steps: number;
  tokens: number;
  seconds: number;
  copies: CopyRow[];
  /** Methods that changed nothing, which the job refuses: ternary weights lie on every symmetric grid. */
  unchanged?: string[];
};

const SHARES = [0.25, 0.5, 0.75];
const BITS = [8, 4, 3];

type Scores = {
  variant: string;
  share: number | null;
  fvu: number;
  l0: number;
  loss_recovered: number;
  low: number | null;
  high: number | null;
  dense_loss_recovered: number | null;
  alive: number;
  kl: number;
  dense_kl: number;
};

export async function modelStudy(
  { name, folder, hook, width, k, group }: StudiedModel,
  { steps, threads, note }: { steps: number; threads: number; note(text: string): void },
): Promise<{ result: ModelResult; plots: { name: string; svg: string }[] }> {
  const started = performance.now();
  const jobs = new LocalJobs({ threads, models: { dense: data(...folder) } });
  try {
    const texts = JSON.parse(readFileSync(data('text', 'tinystories', 'tinystories_1000.json'), 'utf8')) as string[];
    const corpus = join(jobs.folder, 'stories.jsonl');
    // The models expect single newlines.
    writeFileSync(corpus, texts.map((text) => JSON.stringify({ text: text.replace(/\n+/g, '\n') })).join('\n'));
    (jobs.configuration.corpora as Record<string, string>).stories = corpus;
    const shared = { model: { local: 'dense' }, corpus: { local: 'stories' } };
    const trained = await jobs.run(saeTrain, {
      ...shared,
      hook,
      saes: [{ variant: 'topk', width, k }],
      steps,
      batch: 512,
      context: 128,
      learning_rate: 2e-3,
      feature_dashboards: false,
    });
    const sae = { id: await manifestId(trained.published.find(({ kind }) => kind === 'sae')!) };
    const plans = [
      ...SHARES.flatMap((share) =>
        ['magnitude', 'wanda', 'sparsegpt'].map((method) => ({ label: `${method} ${100 * share} %`, method, share })),
      ),
      ...BITS.flatMap((bits) =>
        ['rtn', 'gptq'].map((method) => ({ label: `${method} ${bits} bits`, method, bits, group })),
      ),
    ];
    const copies = [];
    const made = new Map<string, Record<string, unknown>>();
    const unchanged: string[] = [];
    for (const { label, ...plan } of plans) {
      const sizes = { tokens: 16_384, held_out_tokens: 4096, context: 128 };
      const outcome = await jobs.run(modelCompress, { ...shared, ...plan, ...sizes }).catch((error: unknown) => {
        if (error instanceof SextantError && /changed nothing/.test(error.message)) {
          return null;
        }
        throw error;
      });
      if (!outcome) {
        unchanged.push(label);
        continue;
      }
      const { result } = outcome;
      note(
        `${name}: ${label}: loss ${(result.loss as number).toFixed(4)} (dense ${(result.dense_loss as number).toFixed(4)})`,
      );
      copies.push({ label, model: { id: result.model } });
      made.set(label, result);
    }
    const compared = new Map<string, { kl: { estimate: number }; layers: { relative_error: number }[] }>();
    for (const { label, model } of copies) {
      const { result } = await jobs.run(modelCompare, { ...shared, other: model, tokens: 2048, context: 128 });
      compared.set(label, result as never);
    }
    const { result, published } = await jobs.run(compressionStudy, {
      ...shared,
      copies,
      sae,
      tokens: 4096,
      context: 128,
      loss_sequences: 16,
    });
    const {
      dense,
      copies: studied,
      tokens,
    } = result as {
      dense: Scores;
      tokens: number;
      copies: { label: string; survival: number; died: number; support_overlap: number; variants: Scores[] }[];
    };
    const rows = studied.map(({ label, survival, died, support_overlap, variants }): CopyRow => {
      const own = made.get(label)! as { sparsity: number; bits: number; loss: number };
      const { kl, layers } = compared.get(label)!;
      const plan = plans.find((of) => of.label === label)!;
      return {
        label,
        method: plan.method,
        asked_share: 'share' in plan ? plan.share : null,
        sparsity: own.sparsity,
        bits: own.bits,
        loss: own.loss,
        kl: kl.estimate,
        stream_error: layers.at(-1)!.relative_error,
        survival,
        died,
        overlap: support_overlap,
        variants: variants.map((of) => ({
          variant: of.variant,
          share: of.share,
          fvu: of.fvu,
          l0: of.l0,
          recovered: of.loss_recovered,
          low: of.low,
          high: of.high,
          dense_recovered: of.dense_loss_recovered,
          alive: of.alive,
          kl: of.kl,
          dense_kl: of.dense_kl,
        })),
      };
    });
    const plots = published[0]!.blobs
      .filter(({ name: file }) => /^(loss-recovered|latent-survival)\.svg$/.test(file))
      .map((blob) => ({ name: blob.name.replace(/\.svg$/, ''), svg: jobs.read(blob).toString('utf8') }));
    return {
      result: {
        name,
        hook,
        width,
        k,
        group,
        dense_loss: made.get(plans[0]!.label)!.dense_loss as number,
        dense: { fvu: dense.fvu, l0: dense.l0, recovered: dense.loss_recovered },
        steps,
        tokens,
        seconds: Math.round((performance.now() - started) / 1000),
        copies: rows,
        unchanged,
      },
      plots,
    };
  } finally {
    jobs.close();
  }
}

/** Loss recovered by the dense autoencoder on pruned copies, a line for each method. */
export const methodsPlot = ({ name, dense, copies }: ModelResult): string =>
  chart({
    title: `${name}: loss recovered by the transferred autoencoder`,
    note: 'on the pruned model, with its 95 % interval over sequences; share 0 is the dense model',
    x: { label: 'share of the model set to zero' },
    y: { label: 'loss recovered' },
    series: ['magnitude', 'wanda', 'sparsegpt'].map((method) => ({
      as: 'line' as const,
      name: method,
      points: [
        { x: 0, y: dense.recovered },
        ...copies
          .filter((copy) => copy.method === method && copy.asked_share !== null)
          .flatMap(({ asked_share, variants }) => {
            const own = variants.find(({ variant }) => variant === 'transferred');
            const interval = own && own.low !== null && own.high !== null ? { low: own.low, high: own.high } : {};
            return own ? [{ x: asked_share!, y: own.recovered, ...interval }] : [];
          }),
      ],
    })),
  });

const fixed = (value: number, digits = 3): string => value.toFixed(digits);

export function modelMarkdown(of: ModelResult): string {
  const head = [
    'copy',
    'loss',
    'KL',
    'stream error',
    'survival',
    'died',
    'overlap',
    'transferred',
    'retrained',
    '25 %',
    '50 %',
    '75 %',
  ];
  const lines = of.copies.map((row) => {
    const found = (variant: string, share: number | null) =>
      row.variants.find((own) => own.variant === variant && own.share === share);
    const cell = (variant: string, share: number | null = null) => {
      const scores = found(variant, share);
      return scores ? `${fixed(scores.recovered)} (${fixed(scores.fvu)})` : '';
    };
    return [
      row.label,
      fixed(row.loss, 4),
      fixed(row.kl, 4),
      fixed(row.stream_error, 4),
      fixed(row.survival, 2),
      String(row.died),
      fixed(row.overlap, 2),
      cell('transferred'),
      cell('retrained'),
      ...SHARES.map((share) => cell('pruned', share)),
    ];
  });
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return [
    `## ${of.name}`,
    '',
    `TopK(${of.width}, k = ${of.k}) at \`${of.hook}\`, ${of.steps} steps of 512 tokens; on the dense model: loss ${fixed(of.dense_loss, 4)}, ` +
      `loss recovered ${fixed(of.dense.recovered)}, FVU ${fixed(of.dense.fvu)}. Rounding ${of.group === null ? 'with one scale a row' : `in groups of ${of.group}`}. ` +
      `${of.tokens} held-out tokens, one seed; ${of.seconds} s.`,
    '',
    table,
    '',
    ...(of.unchanged?.length ? [`Changed nothing and was refused as such: ${of.unchanged.join(', ')}.`, ''] : []),
    `![Loss recovered by method](compression-${of.name}-methods.svg)`,
    '',
    `![Loss recovered](compression-${of.name}-loss-recovered.svg)`,
    '',
    `![Survival of latents](compression-${of.name}-latent-survival.svg)`,
    '',
  ].join('\n');
}
