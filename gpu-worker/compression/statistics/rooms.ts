/**
 * Memory that is used again and again: fresh arrays of some megabytes cost more in page faults than what is computed in
 * them. A room keeps what it held until it is taken again under its name.
 */
export class Rooms {
  readonly #doubles = new Map<string, Float64Array>();
  readonly #singles = new Map<string, Float32Array>();

  doubles(name: string, length: number): Float64Array {
    return taken(this.#doubles, name, length, (size) => new Float64Array(size));
  }

  singles(name: string, length: number): Float32Array {
    return taken(this.#singles, name, length, (size) => new Float32Array(size));
  }
}

function taken<A extends Float32Array | Float64Array>(
  rooms: Map<string, A>,
  name: string,
  length: number,
  make: (size: number) => A,
): A {
  let room = rooms.get(name);
  if (!room || room.length < length) {
    room = make(length);
    rooms.set(name, room);
  }
  return room.subarray(0, length) as A;
}
