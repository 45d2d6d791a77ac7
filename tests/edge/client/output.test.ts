import { describe, expect, it } from 'vitest';
import { Output } from '../../../edge/client/command/output.ts';
import { ProgressBar } from '../../../edge/client/progress-bar.ts';

const terminal = (columns: number) => {
  const written: string[] = [];
  return { isTTY: true, columns, write: (text: string) => void written.push(text), written };
};
const people = [
  { id: 'job_1', type: 'evil\u202e\u001b[31m', note: 'x'.repeat(100) },
  { id: 'job_2', type: 'lm.train', note: null },
];

describe('on a terminal', () => {
  it.each([20, 40, 200])('tables fit into %i columns and carry nothing that moves the cursor', async (columns) => {
    const screen = terminal(columns);
    await new Output(screen, screen, {}).list(people, ['id', 'type', 'note']);
    const lines = screen.written.join('').split('\n');
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(columns);
    for (const unseen of ['\u001b', '\u202e']) {
      expect(screen.written.join('')).not.toContain(unseen);
    }
    expect(screen.written.join('')).toContain('job_2');
  });

  it('is red only where colour is wanted', () => {
    for (const [env, red] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
    ] as const) {
      const screen = terminal(80);
      new Output(screen, screen, env).error('it went wrong');
      expect(screen.written.join('').includes('\u001b[31m')).toBe(red);
    }
  });

  it.each([20, 80])('a bar fits into %i columns, with rate and time left', (columns) => {
    const screen = terminal(columns);
    let now = 0;
    const bar = new ProgressBar('lm.train', screen, () => now);
    bar.update({ fraction: 0, stage: 'training', metrics: {} });
    now = 10_000;
    bar.update({ fraction: 0.25, stage: 'training', metrics: { loss: 0.5 } });
    const last = screen.written.at(-1)!.replace('\r\u001b[2K', '');
    expect([...last].length).toBeLessThan(columns);
    expect(last).toContain('25 %');
    if (columns === 80) {
      expect(last).toContain('2.5 %/s  00:30 left');
    }
  });
});
