/** Downloads into a file: beside it until it is whole, so that nothing half written has the name that was asked for. */
import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type Hasher, IntegrityError, isPastTheEnd, type Sextant, sha256 } from '../index.ts';
import { CommandError } from './exit-status.ts';

/** Writes all or nothing. @throws CommandError `limit` where the disk is full */
export function writeTo(file: string, bytes: Uint8Array): void {
  const part = `${file}.part`;
  try {
    writeFileSync(part, bytes);
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    throw fileError(file, error);
  }
}

/** Goes on with what an earlier call left. @throws IntegrityError, after which the next call begins anew */
export async function downloadTo(client: Sextant, id: string, file: string, signal: AbortSignal) {
  const [part, tag] = [`${file}.part`, `${file}.part.etag`];
  const forget = (): void => {
    rmSync(part, { force: true });
    rmSync(tag, { force: true });
  };
  const from = existsSync(part) && existsSync(tag) ? await begun(part, tag) : null;
  let [bytes, digest] = [from?.bytes ?? 0, ''];
  const handle = open(part, from === null ? 'w' : 'a');
  try {
    const pieces = client.artefacts.download(id, {
      signal,
      ...(from ? { from } : {}),
      onStart: (about) => {
        digest = about.sha256;
        writeFileSync(tag, `"${about.sha256}"`);
      },
    });
    for await (const piece of pieces) {
      try {
        for (let at = 0; at < piece.length; ) {
          at += writeSync(handle, piece, at);
        }
      } catch (error) {
        throw fileError(file, error);
      }
      bytes += piece.length;
    }
  } catch (error) {
    if (error instanceof IntegrityError || isPastTheEnd(error)) {
      forget();
      throw new IntegrityError(`${id}: what was there of ${file} does not fit and was thrown away; run it again`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    closeSync(handle);
  }
  renameSync(part, file);
  rmSync(tag, { force: true });
  return { id, file, bytes, sha256: digest };
}

async function begun(part: string, tag: string): Promise<{ bytes: number; digest: Hasher; etag: string } | null> {
  const { size } = statSync(part);
  if (size === 0) {
    return null;
  }
  const digest = sha256();
  for await (const piece of createReadStream(part)) {
    digest.update(piece as Buffer);
  }
  return { bytes: size, digest, etag: readFileSync(tag, 'utf8') };
}

function open(file: string, how: 'w' | 'a'): number {
  try {
    return openSync(file, how);
  } catch (error) {
    throw fileError(file, error);
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; make room and run it again, it goes on where it stopped',
  EDQUOT: 'the quota of the disk is used up; make room and run it again, it goes on where it stopped',
  ENOENT: 'there is no such folder',
  EACCES: 'this user may not write there',
  EISDIR: 'a folder of that name stands there',
};

function fileError(file: string, error: unknown): CommandError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return new CommandError(/^(ENOSPC|EDQUOT)$/.test(code) ? 'limit' : 'usage', `${file}: ${WHY[code] ?? code}`);
}
