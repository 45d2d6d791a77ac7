/** A line that shows how far a job is: redrawn on a terminal, one line per tenth elsewhere. */
import type { Progress } from '../../shared/contracts/job.ts';

/** A standard stream, as much of it as is needed. */
export type Terminal = { isTTY?: boolean | undefined; columns?: number | undefined; write(text: string): unknown };

const [WIDEST, NARROWEST] = [24, 6];

export class ProgressBar {
  readonly #title: string;
  readonly #to: Terminal;
  readonly #now: () => number;
  readonly #began: number;
  /** Where the current attempt was first seen: its rate counts from there. */
  #first: { at: number; fraction: number } | null = null;
  #last = 0;
  #tenth = -1;
  constructor(title: string, to: Terminal, now: () => number = () => performance.now()) {
    this.#title = title;
    this.#to = to;
    this.#now = now;
    this.#began = now();
    if (to.isTTY) {
      this.#draw(0, '');
    }
  }

  update({ fraction, stage, metrics }: Progress): void {
    const now = this.#now();
    if (this.#first === null || fraction < this.#last) {
      this.#first = { at: now, fraction };
    }
    this.#last = fraction;
    const done = fraction - this.#first.fraction;
    const perS = now > this.#first.at ? done / ((now - this.#first.at) / 1000) : 0;
    const left = perS > 0 ? `  ${(100 * perS).toPrecision(2)} %/s  ${clock((1 - fraction) / perS)} left` : '';
    const shown = Object.entries(metrics)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name} ${format(value!)}`)
      .join('  ');
    if (this.#to.isTTY) {
      this.#draw(fraction, `${left}  ${stage}  ${shown}`);
    } else if (Math.floor(fraction * 10) > this.#tenth) {
      this.#tenth = Math.floor(fraction * 10);
      this.#to.write(`  ${this.#title.padEnd(34)} ${percent(fraction)}  ${stage}  ${shown}\n`);
    }
  }

  /** Leaves a line that says what came of it. */
  done(text: string): void {
    const seconds = ((this.#now() - this.#began) / 1000).toFixed(1);
    this.clear();
    this.#to.write(`  ${this.#title.padEnd(34)} done in ${seconds} s  ${text}\n`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#to.isTTY) {
      this.#to.write('\r\x1b[2K');
    }
  }

  #draw(fraction: number, text: string): void {
    const room = Math.max(1, (this.#to.columns ?? 100) - 1);
    const title = room > 2 * WIDEST ? `  ${this.#title.padEnd(20)} ` : '';
    const width = Math.min(WIDEST, Math.max(NARROWEST, room - title.length - 30));
    const filled = Math.round(fraction * width);
    const line = `${title}${percent(fraction)} ${'█'.repeat(filled)}${'░'.repeat(width - filled)}${text}`;
    this.#to.write(`\r\x1b[2K${[...line].slice(0, room).join('')}`);
  }
}

const percent = (fraction: number): string => `${String(Math.round(fraction * 100)).padStart(3)} %`;

function clock(seconds: number): string {
  const whole = Math.min(359_999, Math.ceil(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = whole >= 3600 ? `${two(Math.floor(whole / 3600))}:` : '';
  return `${hours}${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

const format = (value: number): string =>
  Number.isInteger(value) ? String(value) : value.toPrecision(Math.abs(value) >= 1000 ? 5 : 3);
