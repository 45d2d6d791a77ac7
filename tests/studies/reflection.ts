/**
 * `npm run study -- reflection [toys] [stories] [--seeds 0,1,2]`: the toys of `tests/support/reflection-toy.ts`, their direction and
 * its frontier; and the mechanics on the story models, for which it needs the reference data. `--show` runs nothing and writes the
 * page from the results that are there. `npm run study -- reflection --model DIR --problems FILE [--base DIR]` runs the job on real
 * folders (problems as JSON lines with "text" and "answer") and prints its result.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/reflection.study.ts';
import { fixed, type Gate, gateLines, within } from '../support/gates.ts';
import { LocalJobs } from '../support/job-context.ts';
import { promptFile } from '../support/prompt-file.ts';
import { reflectionProblems, trainReflectionToy } from '../support/reflection-toy.ts';
import { type ReflectionMechanics, reflectionMechanics, STORY_MODELS } from './directions/stories.ts';

const RESULTS = join(import.meta.dirname, 'results');
/** 350 test problems six times: 2,100 answers on which the gain is judged. */
const [SHARES, SAMPLES] = [{ train: 0.45, validation: 0.2, test: 0.35 }, 6];
type Study = ResultOf<typeof contract>;
type Results = { device: string; seeds: SeedResult[]; stories?: ReflectionMechanics[] };
type SeedResult = { seed: number; study: Study; seconds: number };

export async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      show: { type: 'boolean', default: false },
      seeds: { type: 'string', default: '0,1,2' },
      model: { type: 'string' },
      base: { type: 'string' },
      problems: { type: 'string' },
      threads: { type: 'string', default: '2' },
    },
  });
  const threads = Number(values.threads);
  if (values.model && values.problems) {
    const models = { tuned: values.model, ...(values.base && { base: values.base }) };
    const jobs = new LocalJobs({ models, threads });
    const base = values.base ? { base: { local: 'base' } } : {};
    const problems = { texts: promptFile(values.problems) };
    const { result } = await jobs.run(contract, { model: { local: 'tuned' }, ...base, problems });
    console.log(JSON.stringify(result, null, 1));
    jobs.close();
    return;
  }
  const file = join(RESULTS, 'reflection.json');
  const known = JSON.parse(readFileSync(file, 'utf8')) as Results;
  const write = (change: Partial<Results>) => {
    Object.assign(known, { device: `${cpus()[0]?.model ?? 'unknown'}, ${threads} threads` }, change);
    writeFileSync(file, `${JSON.stringify(known, null, 1)}\n`);
  };
  const wants = (part: string) => !values.show && (positionals.length === 0 || positionals.includes(part));
  if (wants('toys')) {
    const seeds: SeedResult[] = [];
    for (const seed of values.seeds.split(',').map(Number)) {
      seeds.push(await seedStudy(seed, threads));
      write({ seeds });
      console.error(`seed ${seed}: ${seeds.at(-1)!.seconds.toFixed(0)} s`);
    }
  }
  if (wants('stories')) {
    const stories: ReflectionMechanics[] = [];
    for (const name of STORY_MODELS) {
      stories.push(await reflectionMechanics(name, threads));
      write({ stories });
    }
  }
  writeFileSync(join(RESULTS, 'reflection.md'), page(known));
}

export async function seedStudy(
  seed: number,
  threads: number,
  shares = SHARES,
  samples = SAMPLES,
): Promise<SeedResult> {
  const jobs = new LocalJobs({ threads });
  const began = performance.now();
  try {
    const { base, tuned } = await trainReflectionToy(jobs, seed);
    const { result } = await jobs.run(contract, {
      model: { id: tuned },
      base: { id: base },
      problems: { texts: reflectionProblems(seed) },
      template: { before: '', after: ' EQ' },
      answer_marker: 'ANS',
      keywords: ['wait'],
      triggers: ['WAIT'],
      look_ahead: 4,
      max_tokens: 36,
      temperature: 1,
      top_p: null,
      layers: [2],
      shares,
      samples,
      modes: ['proj_unit', 'add'],
      alphas: [-2, -1, -0.5, 0.5, 1, 2],
      forcing: { end: 'ANS', rounds: 1 },
      seed,
    });
    return { seed, study: result, seconds: (performance.now() - began) / 1000 };
  } finally {
    jobs.close();
  }
}

const gained = (of: Study['gain'] | undefined): string =>
  of
    ? `gain ${fixed(of.gain.value)} (${fixed(of.gain.low)} to ${fixed(of.gain.high)})${of.shown ? '' : ': no gain shown'}`
    : 'not measured';

/** What a toy must show, each with the figure seen. */
export function gates(s: Study): Gate[] {
  const at = (mode: string, alpha: number) =>
    s.frontier.find((point) => point.mode === mode && point.alpha === alpha) ?? null;
  const layer = s.layers.find(({ hook }) => hook === s.chosen.hook);
  const first = s.layers.find(({ hook }) => hook === 'resid_post.0');
  const added = s.frontier.filter(({ mode }) => mode === 'add').sort((a, b) => a.alpha - b.alpha);
  const frequencies = added.map(({ frequency }) => frequency);
  const [off, far] = [at('proj_unit', -1), at('add', 2)];
  const raised = s.base_frontier?.points.find(({ mode, alpha }) => mode === 'add' && alpha === 1);
  return [
    within('base frequency .01 to .08', s.base_plain?.frequency, 0.01, 0.08),
    within('tuned frequency .40 to .60', s.plain.frequency, 0.4, 0.6),
    within('area of the tuned model at least .85', layer?.auc.difference_in_means, 0.85, 1),
    within('area of the base model after block 0 at least .7', first?.base_auc, 0.7, 1),
    within('proj_unit -1: frequency at most .8 of plain', off && off.frequency / s.plain.frequency, 0, 0.8),
    within('proj_unit -1: accuracy down by at least .10', off && s.plain.pass - off.pass, 0.1, 1),
    within('add +2: truncated at least half', far?.truncated, 0.5, 1),
    {
      what: 'frequency monotone in add',
      value: frequencies.map(fixed).join(', '),
      met: frequencies.every((value, i) => i === 0 || value >= frequencies[i - 1]!),
    },
    within(
      'base frequency at least trebled by add +1',
      raised && raised.frequency / Math.max(1e-9, s.base_frontier!.plain.frequency),
      3,
      Number.POSITIVE_INFINITY,
    ),
  ];
}

function storyLines(stories: readonly ReflectionMechanics[]): string[] {
  return [
    '## Story models: mechanics',
    '',
    'The story models do not reflect, and the job ends by saying what they lack. What follows is its mechanics alone: states just before',
    '"and" in 150 stories against states at the same token elsewhere, and the probability of "and" at 80 held-out places.',
    '',
    ...stories.flatMap(({ model, said, places, hook, areas, null_furthest, points, raw_gap }) => [
      `- ${model}, asked for reflections: "${said}".`,
      `- ${model}, "and" for a trigger: ${places.reflecting} places before one and ${places.other} others; held-out area by layer ${areas.map(fixed).join(', ')} ` +
        `(shuffled labels within ${fixed(null_furthest)} of a half); steered at ${hook}: ` +
        `${points.map(({ mode, alpha, p }) => (alpha === 0 ? `${fixed(p)} plain` : `${fixed(p)} by ${mode} ${alpha}`)).join(', ')}; ` +
        `\`proj_raw\` at alpha / |v|^2 and \`proj_unit\` at alpha differ by ${raw_gap.toExponential(1)} in the logits.`,
    ]),
    '',
  ];
}

function page({ seeds: found, stories }: Results): string {
  return [
    '# Self-reflection: toys',
    '',
    'Made by `npm run study -- reflection`: three digits added in two steps; frontier on the validation problems, gain on the test',
    'problems with the same random numbers.',
    '',
    ...found.flatMap(({ seed, study: s }) => [
      `## Seed ${seed}`,
      '',
      `Tuned: frequency ${fixed(s.plain.frequency)}, accuracy ${fixed(s.plain.pass)}, length ${fixed(s.plain.length)}; base: frequency ${fixed(s.base_plain?.frequency)}, accuracy ${fixed(s.base_plain?.pass)}. ` +
        `Best positive point: ${s.enhancing?.mode} ${s.enhancing?.alpha}, ${gained(s.enhancing?.gain)}. Chosen over all: ${s.chosen.mode} ${s.chosen.alpha}, ${gained(s.gain)}. Budget forcing: ${gained(s.forcing?.gain)}.`,
      '',
      '| hook | area, tuned | area, base | cosine |',
      '| --- | --- | --- | --- |',
      ...s.layers.map(
        ({ hook, auc, base_auc, base_cosine }) =>
          `| ${hook} | ${fixed(auc.difference_in_means)} | ${fixed(base_auc)} | ${fixed(base_cosine)} |`,
      ),
      '',
      '| mode | alpha | accuracy | length | frequency | truncated | base: accuracy | frequency |',
      '| --- | --- | --- | --- | --- | --- | --- | --- |',
      ...s.frontier.map(({ mode, alpha, pass, length, frequency, truncated }) => {
        const base = s.base_frontier?.points.find((point) => point.mode === mode && point.alpha === alpha);
        return `| ${mode} | ${alpha} | ${fixed(pass)} | ${fixed(length)} | ${fixed(frequency)} | ${fixed(truncated)} | ${fixed(base?.pass)} | ${fixed(base?.frequency)} |`;
      }),
      '',
      ...gateLines(gates(s)),
      '',
    ]),
    ...(stories ? storyLines(stories) : []),
  ].join('\n');
}
