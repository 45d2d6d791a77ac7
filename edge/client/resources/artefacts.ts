/** Artefacts: the tenant's bytes, up and down. */
import type { z } from 'zod';
import type {
  announceArtefactSchema,
  artefactGrantSchema,
  artefactSchema,
} from '../../../shared/contracts/artefact.ts';
import type { capabilitiesSchema } from '../../../shared/contracts/capabilities.ts';
import { type DownloadOptions, download } from '../download.ts';
import { AnswerLostError, IntegrityError } from '../errors.ts';
import { type PageOptions, Pages } from '../pages.ts';
import { sha256 } from '../sha256.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';

export type Artefact = z.output<typeof artefactSchema>;
export type ArtefactGrant = z.output<typeof artefactGrantSchema>;

export type UploadOptions = CallOptions & {
  name: string;
  /** application/octet-stream unless named. */
  mediaType?: string;
  /** Told of bytes read: twice over, once for the digest and once for the upload. */
  onProgress?: (done: { stage: 'digest' | 'upload'; bytes: number; of: number }) => void;
};

export class Artefacts {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Announces bytes; send them to `upload.url`, then commit. `upload` does all three. */
  announce(body: z.input<typeof announceArtefactSchema>, options: CreateOptions = {}): Promise<ArtefactGrant> {
    return this.#transport.json('POST', '/v1/artefacts', { ...options, body });
  }

  commit(id: string, options: CallOptions = {}): Promise<Artefact> {
    return this.#transport.json('POST', `/v1/artefacts/${encodeURIComponent(id)}/commit`, options);
  }

  list(options: PageOptions & { job?: string } = {}): Pages<Artefact> {
    return new Pages(this.#transport, '/v1/artefacts', options);
  }

  /** The answer with the bytes unread, or with a range of them (`bytes=0-99`). `download` checks and resumes. */
  get(id: string, { range, ...options }: CallOptions & { range?: string } = {}): Promise<Response> {
    return this.#transport.response('GET', `/v1/artefacts/${encodeURIComponent(id)}`, {
      ...options,
      headers: { range },
    });
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/artefacts/${encodeURIComponent(id)}`, options);
  }

  /** The bytes in pieces, resumed where a connection breaks. @throws IntegrityError at the end, where they are others */
  download(id: string, options: DownloadOptions = {}): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    return download(this.#transport, `/v1/artefacts/${encodeURIComponent(id)}`, options);
  }

  /** All of the bytes at once. Raises as `download`. */
  async bytes(id: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of this.download(id, options)) {
      parts.push(part);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  /**
   * Uploads bytes, streamed where the blob is a file's (`File` of a browser, `fs.openAsBlob` of Node): read once for
   * the digest and once to send. What the tenant has already is not sent again.
   * @throws IntegrityError where the file changed in between; ApiError `body_too_large` or `validation_failed` for its size
   */
  async upload(source: Blob | Uint8Array<ArrayBuffer>, options: UploadOptions): Promise<Artefact> {
    const blob = source instanceof Blob ? source : new Blob([source]);
    const { name, mediaType = 'application/octet-stream', signal, onProgress } = options;
    const call = signal ? { signal } : {};
    const digest = await this.#digest(blob, options);
    const announced = { name, sha256: digest, bytes: blob.size, media_type: mediaType };
    const grant = await this.announce(announced, call).catch((error: unknown) => {
      // the address was lost with the answer: a new announcement has another, and the first one expires
      if (error instanceof AnswerLostError) {
        return this.announce(announced, call);
      }
      throw error;
    });
    if (grant.upload) {
      await this.#transport.put(grant.upload.url, blob, call).catch((error: unknown) => {
        throw isChange(error) ? changed(name, error) : error;
      });
      onProgress?.({ stage: 'upload', bytes: blob.size, of: blob.size });
    }
    try {
      return await this.commit(grant.id, call);
    } catch (error) {
      throw (error as { code?: string }).code === 'artefact_mismatch' ? changed(name, error) : error;
    }
  }

  /**
   * Uploads a file of any size as artefacts whose bytes follow each other, each with its digest and as large as the service
   * takes them: what `model.import` calls `parts` and `archive`. One artefact where the file fits into it. Raises as `upload`.
   */
  async uploadParts(source: Blob | Uint8Array<ArrayBuffer>, options: UploadOptions): Promise<Artefact[]> {
    const blob = source instanceof Blob ? source : new Blob([source]);
    const { name, signal, onProgress } = options;
    const { limits } = await this.#transport.json<z.output<typeof capabilitiesSchema>>('GET', '/v1/capabilities', {
      open: true,
      ...(signal ? { signal } : {}),
    });
    const count = Math.max(1, Math.ceil(blob.size / limits.shard_bytes));
    const parts: Artefact[] = [];
    for (let part = 0; part < count; part++) {
      const begin = part * limits.shard_bytes;
      parts.push(
        await this.upload(blob.slice(begin, begin + limits.shard_bytes), {
          ...options,
          name: count === 1 ? name : `${name}.${part + 1}`,
          ...(onProgress && {
            onProgress: ({ stage, bytes }) => onProgress({ stage, bytes: begin + bytes, of: blob.size }),
          }),
        }),
      );
    }
    return parts;
  }

  async #digest(blob: Blob, { name, signal, onProgress }: UploadOptions): Promise<string> {
    const digest = sha256();
    let bytes = 0;
    const reader = blob.stream().getReader();
    try {
      for (;;) {
        signal?.throwIfAborted();
        const { done, value } = await reader.read();
        if (done) {
          break;
        }
        digest.update(value);
        bytes += value.byteLength;
        onProgress?.({ stage: 'digest', bytes, of: blob.size });
      }
    } catch (error) {
      throw isChange(error) ? changed(name, error) : error;
    } finally {
      await reader.cancel().catch(() => undefined);
    }
    if (bytes !== blob.size) {
      throw changed(name, null);
    }
    return digest.hex();
  }
}

/** What runtimes raise where a file is not any more what the blob was made of. */
const isChange = (error: unknown): boolean => {
  const { name, cause } = error as { name?: string; cause?: unknown };
  return name === 'NotReadableError' || (cause instanceof Error && isChange(cause));
};

const changed = (name: string, cause: unknown): IntegrityError =>
  new IntegrityError(`${name} changed while it was uploaded; upload it again when nothing writes to it`, { cause });
