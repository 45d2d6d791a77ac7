/** What provisioning made, so that it never touches anything else: a file that its runs share and the operator keeps. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export type Kind = 'queue' | 'consumer' | 'bucket' | 'database' | 'namespace' | 'secret' | 'operator key';

export class ProvisionRecord {
  readonly #file: string;
  readonly #made: Record<string, string>;
  constructor(file: string) {
    this.#file = file;
    this.#made = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>) : {};
  }

  /** Id under which it was made; undefined where it was not. */
  idOf(kind: Kind, name: string): string | undefined {
    return this.#made[`${kind} ${name}`];
  }

  /** Written whole or not at all, before anything else is made. */
  note(kind: Kind, name: string, id: string): void {
    this.#made[`${kind} ${name}`] = id;
    writeFileSync(`${this.#file}.part`, `${JSON.stringify(this.#made, null, 2)}\n`);
    renameSync(`${this.#file}.part`, this.#file);
  }
}
