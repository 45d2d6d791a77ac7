/** What is known to be there under a name: weights that were listed before, outputs that a program has. */

/** @throws RangeError where nothing has the name */
export function named<T>(values: ReadonlyMap<string, T> | Readonly<Record<string, T>>, name: string): T {
  const found = values instanceof Map ? (values.get(name) as T | undefined) : (values as Record<string, T>)[name];
  if (found === undefined) {
    throw new RangeError(`nothing is called '${name}'`);
  }
  return found;
}
