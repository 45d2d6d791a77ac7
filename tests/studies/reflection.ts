/**
 * `npm run study -- reflection [--seeds 0,1,2]`: the toys of `tests/support/reflection-toy.ts`, their direction and its
 * frontier. `npm run study -- reflection --model DIR --problems FILE [--base DIR]` runs the job on real folders (problems as
 * JSON lines with "text" and "answer") and prints its result.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ResultOf } from '../../shared/jobs/contract.ts';
import contract from '../../shared/jobs/reflection.study.ts';
import { LocalJobs } from '../support/job-context.ts';
import { promptFile } from '../support/prompt-file.ts';
import { reflectionProblems, trainReflectionToy } from '../support/reflection-toy.ts';

const RESULTS = join(import.meta.dirname, 'results');
type SeedResult = { seed: number; study: ResultOf<typeof contract>; seconds: number };

export async function run(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
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
  const found: SeedResult[] = [];
  for (const seed of values.seeds.split(',').map(Number)) {
    found.push(await seedStudy(seed, threads));
    const device = `${cpus()[0]?.model ?? 'unknown'}, ${threads} threads`;
    writeFileSync(join(RESULTS, 'reflection.json'), `${JSON.stringify({ device, seeds: found }, null, 1)}\n`);
    writeFileSync(join(RESULTS, 'reflection.md'), page(found));
    console.error(`seed ${seed}: ${found.at(-1)!.seconds.toFixed(0)} s`);
  }
}

async function seedStudy(seed: number, threads: number): Promise<SeedResult> {
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

const fixed = (value: number | null | undefined): string => value?.toFixed(3) ?? '–';

function page(found: readonly SeedResult[]): string {
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
        `Chosen: ${s.chosen.hook} ${s.chosen.mode} ${s.chosen.alpha}; gain ${fixed(s.gain.gain.value)} (${fixed(s.gain.gain.low)} to ${fixed(s.gain.gain.high)})${s.gain.shown ? '' : ': no gain shown'}.`,
      '',
      '| hook | area, tuned | area, base | cosine |',
      '| --- | --- | --- | --- |',
      ...s.layers.map(
        ({ hook, auc, base_auc, base_cosine }) =>
          `| ${hook} | ${fixed(auc.difference_in_means)} | ${fixed(base_auc)} | ${fixed(base_cosine)} |`,
      ),
      '',
      '| mode | alpha | accuracy | length | frequency | truncated |',
      '| --- | --- | --- | --- | --- | --- |',
      ...s.frontier.map(
        ({ mode, alpha, pass, length, frequency, truncated }) =>
          `| ${mode} | ${alpha} | ${fixed(pass)} | ${fixed(length)} | ${fixed(frequency)} | ${fixed(truncated)} |`,
      ),
      '',
    ]),
  ].join('\n');
}
