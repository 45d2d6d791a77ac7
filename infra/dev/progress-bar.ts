/** A line that shows how far a job is: redrawn on a terminal, one line per tenth elsewhere. */
import type { Progress } from '../../shared/contracts/job.ts';

const WIDTH = 24;

export class ProgressBar {
  readonly #title: string;
  readonly #began = performance.now();
  #tenth = -1;
  constructor(title: string) {
    this.#title = title.padEnd(34);
    if (process.stdout.isTTY) {
      this.#draw(0, '');
    }
  }

  update({ fraction, stage, metrics }: Progress): void {
    const shown = Object.entries(metrics)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name} ${format(value!)}`)
      .join('  ');
    if (process.stdout.isTTY) {
      this.#draw(fraction, `${stage}  ${shown}`);
    } else if (Math.floor(fraction * 10) > this.#tenth) {
      this.#tenth = Math.floor(fraction * 10);
      console.log(`  ${this.#title} ${String(Math.round(fraction * 100)).padStart(3)} %  ${stage}  ${shown}`);
    }
  }

  done(text: string): void {
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(1);
    if (process.stdout.isTTY) {
      process.stdout.write('\r\x1b[2K');
    }
    console.log(`  ${this.#title} done in ${seconds} s  ${text}`);
  }

  #draw(fraction: number, text: string): void {
    const filled = Math.round(fraction * WIDTH);
    const line = `  ${this.#title} ${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${text}`;
    process.stdout.write(`\r\x1b[2K${line.slice(0, (process.stdout.columns ?? 100) - 1)}`);
  }
}

const format = (value: number): string =>
  Number.isInteger(value) ? String(value) : value.toPrecision(Math.abs(value) >= 1000 ? 5 : 3);
