/** Peak memory of cleaning a long record beside that of ten minutes, each in a process of its own. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ALLOCATOR, YOUNG_OBJECTS } from '../../../gpu-worker/worker/allocator.ts';

const SHORT_MIN = 10;
type MemoryResults = { short_minutes: number; long_hours: number; short_mib: number; long_mib: number; ratio: number };

export function memoryStudy(hours: number): MemoryResults {
  const peak = (seconds: number): number => {
    // as a worker starts its computations
    const script = [...YOUNG_OBJECTS, join(import.meta.dirname, 'memory-run.ts'), String(seconds)];
    const out = execFileSync(process.execPath, script, { env: { ...ALLOCATOR, ...process.env } });
    return (JSON.parse(out.toString()) as { peak_kib: number }).peak_kib / 1024;
  };
  const [short, long] = [peak(60 * SHORT_MIN), peak(3600 * hours)];
  const rounded = (value: number) => Number(value.toFixed(3));
  return {
    short_minutes: SHORT_MIN,
    long_hours: hours,
    short_mib: Math.round(short),
    long_mib: Math.round(long),
    ratio: rounded(long / short),
  };
}

export const memoryMarkdown = ({ short_minutes, long_hours, short_mib, long_mib, ratio }: MemoryResults): string =>
  [
    '# Memory of a long record',
    '',
    `Peak resident memory of cleaning two leads at 360 Hz, with quality, annotations and picture, in a process of its own: ${short_mib} MiB for ${short_minutes} minutes, ${long_mib} MiB for ${long_hours} hours, ${ratio.toFixed(2)} times as much (at most 1.2 is asked).`,
    '',
  ].join('\n');
