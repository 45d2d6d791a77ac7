/** The acceptance checks of AbsTopK on planted dictionaries, over seeds. */
import { type PlantedRun, plantedRun } from '../../support/planted-sae.ts';

const signed = { axes: 24, inputs: 24, active: 2, signed: true, orthonormal: true, steps: 1500 };
const surplus = { ...signed, width: 48, encoderScale: 0.1 };
const wide = { ...signed, orthonormal: false, axes: 48 };
const larger = { ...signed, axes: 32, inputs: 32, active: 3, steps: 3000 };

/** Check -> run without its seed. */
export const PLANTED: Record<string, Omit<PlantedRun, 'seed'>> = {
  '4 AbsTopK(24)': { ...signed, variant: 'abstopk', width: 24 },
  '4 TopK(24)': { ...signed, variant: 'topk', width: 24 },
  '4 AbsTopK(32), s = 3': { ...larger, variant: 'abstopk', width: 32 },
  '4 TopK(32), s = 3': { ...larger, variant: 'topk', width: 32 },
  '5 TopK(48)': { ...surplus, variant: 'topk' },
  '6 AbsTopK(24), one-sided': { ...signed, signed: false, variant: 'abstopk', width: 24 },
  '6 TopK(24), one-sided': { ...signed, signed: false, variant: 'topk', width: 24 },
  '7 AbsTopK(48)': { ...surplus, variant: 'abstopk' },
  '8 AbsTopK(48), overcomplete': { ...wide, variant: 'abstopk', width: 48 },
  '8 TopK(48), overcomplete': { ...wide, variant: 'topk', width: 48 },
  '8 TopK(96), overcomplete': { ...wide, variant: 'topk', width: 96 },
};

export type PlantedLine = {
  check: string;
  seed: number;
  fvu: number;
  recovery: number;
  mean_r2: number;
  minority_share_20: number;
  antipodal: number;
  dead_share: number;
};

export async function plantedChecks(seeds: readonly number[], note: (text: string) => void): Promise<PlantedLine[]> {
  const lines: PlantedLine[] = [];
  for (const [check, run] of Object.entries(PLANTED)) {
    for (const seed of seeds) {
      const { measures, recovery, meanR2 } = await plantedRun({ ...run, seed });
      lines.push({
        check,
        seed,
        fvu: measures.fvu!,
        recovery,
        mean_r2: meanR2,
        minority_share_20: measures.minority_share_20,
        antipodal: measures.decoder.antipodal,
        dead_share: measures.dead_share,
      });
    }
    note(
      `${check}: FVU ${lines
        .filter((line) => line.check === check)
        .map(({ fvu }) => fvu.toFixed(4))
        .join(' ')}`,
    );
  }
  return lines;
}

export function plantedMarkdown(lines: readonly PlantedLine[]): string {
  const checks = [...new Set(lines.map(({ check }) => check))];
  const row = (check: string): string => {
    const own = lines.filter((line) => line.check === check);
    const each = (value: (line: PlantedLine) => number, digits: number) =>
      own.map((line) => value(line).toFixed(digits)).join(' / ');
    return `| ${check} | ${each((l) => l.fvu, 4)} | ${each((l) => l.mean_r2, 2)} | ${each((l) => l.minority_share_20, 2)} | ${each((l) => l.antipodal, 2)} | ${each((l) => l.dead_share, 2)} |`;
  };
  return [
    '| check | FVU by seed | mean R^2 | BD(0.2) | AP(0.95) | dead |',
    '| --- | --- | --- | --- | --- | --- |',
    ...checks.map(row),
  ].join('\n');
}
