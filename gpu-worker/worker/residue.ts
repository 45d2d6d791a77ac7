/** Whether a process is as it was before its orders, as far as that can be seen: its environment, folder and globals. */
export class Residue {
  readonly #before = surroundings();
  #globals = globals();

  /** The globals that code brings along when it is first loaded are the process's own. */
  loaded(): void {
    this.#globals = globals();
  }

  /** False where an order has left something that the next would find. */
  isNone(): boolean {
    return surroundings() === this.#before && globals() === this.#globals;
  }
}

const surroundings = (): string =>
  JSON.stringify([Object.entries(process.env).sort(([a], [b]) => (a < b ? -1 : 1)), process.cwd(), process.umask()]);

const globals = (): string => JSON.stringify(Reflect.ownKeys(globalThis).map(String).sort());
