/** What every subcommand works with. */
import type { Command } from 'commander';
import { Sextant } from '../index.ts';
import { addressOf, keyOf } from './credentials.ts';
import { Output, type OutputOptions } from './output.ts';

type GlobalOptions = OutputOptions & { url?: string };

export class Context {
  readonly output: Output;
  /** Aborted when the user interrupts. */
  readonly signal: AbortSignal;
  readonly #program: () => Command;
  readonly #env: Readonly<Record<string, string | undefined>>;
  constructor(program: () => Command, env: NodeJS.ProcessEnv, signal: AbortSignal) {
    this.#program = program;
    this.#env = env;
    this.signal = signal;
    this.output = new Output(process.stdout, process.stderr, env);
  }

  /** A client with the key of this user. @throws CommandError `key` */
  client(): Sextant {
    const { url } = this.#program().opts<GlobalOptions>();
    return new Sextant({ url: addressOf(url, this.#env), key: keyOf(this.#env) });
  }
}

/** Collects an option that may be given several times. */
export const collect = (value: string, before: readonly string[]): string[] => [...before, value];

/** A whole number of an option. */
export const whole = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) {
    throw new TypeError(`a whole number is expected, not '${text}'`);
  }
  return Number(text);
};
