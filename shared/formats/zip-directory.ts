/** The directory at the end of a zip archive (APPNOTE 6.3, zip64 included): what is in it, and where. */

/** The record that ends an archive, and the longest remark behind it: where it is looked for. */
export const LONGEST_END = 22 + 65_535;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
/** Stands for a number that zip64 says elsewhere. */
const ELSEWHERE = 0xffffffff;

/** Bytes of the head before an entry's name, and of the zip64 record that is read. */
export const [LOCAL_HEAD, END64_HEAD] = [30, 56];

export type ZipEntry = {
  path: string;
  /** 0 stored, 8 deflated. */
  method: number;
  encrypted: boolean;
  /** A symbolic link, by the file mode that Unix programs leave. */
  link: boolean;
  crc: number;
  packed: number;
  size: number;
  /** Where the entry's head lies. */
  at: number;
};

/** What is no zip archive, or a damaged one; callers say it in their own words. */
export class ZipDamage extends Error {}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Where the directory lies: `record64` where a zip64 record says it instead. */
type Directory = { bytes: number; at: number; record64: number | null };

/** By the last bytes of an archive, `LONGEST_END` of them or all; null where it breaks off. @throws ZipDamage */
export function directoryPlace(tail: Uint8Array): Directory | null {
  const view = viewOf(tail);
  for (let end = tail.length - 22; end >= 0; end--) {
    if (view.getUint32(end, true) === END) {
      const located = end >= 20 && view.getUint32(end - 20, true) === LOCATOR64;
      const [bytes, at] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
      return { bytes, at, record64: located ? wideAt(view, end - 12) : null };
    }
  }
  return null;
}

/** The same by the zip64 record. @throws ZipDamage */
export function directoryPlace64(record: Uint8Array): { bytes: number; at: number } {
  const view = viewOf(record);
  if (record.length < END64_HEAD || view.getUint32(0, true) !== END64) {
    throw new ZipDamage();
  }
  return { bytes: wideAt(view, 40), at: wideAt(view, 48) };
}

/** Entries of a directory, folders among them. @throws ZipDamage */
export function zipEntries(directory: Uint8Array): ZipEntry[] {
  const view = viewOf(directory);
  const entries: ZipEntry[] = [];
  for (let i = 0; i < directory.length; ) {
    if (i + 46 > directory.length || view.getUint32(i, true) !== ENTRY) {
      throw new ZipDamage();
    }
    const short = (at: number): number => view.getUint16(i + at, true);
    const [name, extra, remark] = [short(28), short(30), short(32)];
    const named = i + 46 + name;
    const wide = wideNumbers(directory.subarray(named, named + extra));
    const number = (at: number): number => {
      const own = view.getUint32(i + at, true);
      return own === ELSEWHERE ? (wide.shift() ?? own) : own;
    };
    // in the order in which the wide ones stand
    const [size, packed, at] = [number(24), number(20), number(42)];
    entries.push({
      path: new TextDecoder().decode(directory.subarray(i + 46, named)),
      method: short(10),
      encrypted: (short(8) & 1) === 1,
      link: view.getUint32(i + 38, true) >>> 28 === 0xa,
      crc: view.getUint32(i + 16, true),
      packed,
      size,
      at,
    });
    i = named + extra + remark;
  }
  return entries;
}

/** Where an entry's bytes begin, by its head of `LOCAL_HEAD` bytes; null where there is none. */
export function contentStart(head: Uint8Array, at: number): number | null {
  const view = viewOf(head);
  return head.length >= LOCAL_HEAD && view.getUint32(0, true) === LOCAL
    ? at + LOCAL_HEAD + view.getUint16(26, true) + view.getUint16(28, true)
    : null;
}

/** Numbers of the field that zip64 adds; none where it is missing. */
function wideNumbers(extra: Uint8Array): number[] {
  const view = viewOf(extra);
  for (let i = 0; i + 4 <= extra.length; ) {
    const [id, length] = [view.getUint16(i, true), view.getUint16(i + 2, true)];
    if (id === 1) {
      return Array.from({ length: Math.floor(length / 8) }, (_, n) => wideAt(view, i + 4 + 8 * n));
    }
    i += 4 + length;
  }
  return [];
}

function wideAt(view: DataView, at: number): number {
  if (at + 8 > view.byteLength) {
    throw new ZipDamage();
  }
  return Number(view.getBigUint64(at, true));
}
