/** Steering vectors, their values, and the names that point at them. */
import type { z } from 'zod';
import type {
  VectorDtype,
  vectorBatchRequestSchema,
  vectorBatchSchema,
  vectorNameRowSchema,
  vectorSchema,
  vectorSummarySchema,
} from '../../../shared/contracts/vector.ts';
import type { uploadedVectorsSchema, vectorUploadSchema } from '../../../shared/requests/vector-upload.ts';
import { type PageOptions, Pages } from '../pages.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';
import { withoutUndefined } from './jobs.ts';

export type Vector = z.output<typeof vectorSchema>;
export type VectorSummary = z.output<typeof vectorSummarySchema>;
export type VectorName = z.output<typeof vectorNameRowSchema>;
export type VectorBatch = z.output<typeof vectorBatchSchema>;

export class Vectors {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: PageOptions & { model?: string; hook?: string; method?: string } = {}): Pages<VectorSummary> {
    return new Pages(this.#transport, '/v1/vectors', options);
  }

  /** The description; `values` and `file` give the numbers. */
  get(id: string, options: CallOptions = {}): Promise<Vector> {
    return this.#transport.json('GET', `/v1/vectors/${encodeURIComponent(id)}`, {
      ...options,
      headers: { accept: 'application/json' },
    });
  }

  /** The values, of unit norm. */
  async values(id: string, options: CallOptions = {}): Promise<Float32Array> {
    const bytes = await (await this.file(id, { ...options, format: 'raw', dtype: 'float32' })).arrayBuffer();
    const view = new DataView(bytes);
    return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  /** The answer in another format, its body unread. */
  file(
    id: string,
    { signal, ...query }: CallOptions & { format: 'raw' | 'json' | 'safetensors' | 'npy'; dtype?: VectorDtype },
  ): Promise<Response> {
    return this.#transport.response('GET', `/v1/vectors/${encodeURIComponent(id)}`, {
      query,
      ...withoutUndefined({ signal }),
    });
  }

  /** Publishes directions of the tenant's own: numbers, or a file as base64 or as an artefact. */
  async upload(upload: z.input<typeof vectorUploadSchema>, options: CreateOptions = {}): Promise<VectorSummary[]> {
    const body: z.output<typeof uploadedVectorsSchema> = await this.#transport.json('POST', '/v1/vectors', {
      ...options,
      body: upload,
    });
    return body.data;
  }

  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/vectors/${encodeURIComponent(id)}`, options);
  }

  /** Up to 100 at once. */
  batch(
    request: Omit<z.input<typeof vectorBatchRequestSchema>, 'format'>,
    options: CallOptions = {},
  ): Promise<VectorBatch> {
    return this.#transport.json('POST', '/v1/vector-batches', { ...options, body: { ...request, format: 'json' } });
  }
}

/** A change replaces the version named in `ifMatch`; `*` replaces any. */
type ChangeOptions = CallOptions & { ifMatch?: number | '*' };

export class VectorNames {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(options: PageOptions = {}): Pages<VectorName> {
    return new Pages(this.#transport, '/v1/vector-names', options);
  }

  get(name: string, options: CallOptions = {}): Promise<VectorName> {
    return this.#transport.json('GET', `/v1/vector-names/${encodeURIComponent(name)}`, options);
  }

  /** Points a name at a vector. An existing name needs `ifMatch`; `create` refuses to move one. */
  set(
    name: string,
    id: string,
    { ifMatch, create, ...options }: ChangeOptions & { create?: boolean } = {},
  ): Promise<VectorName> {
    return this.#transport.json('PUT', `/v1/vector-names/${encodeURIComponent(name)}`, {
      ...options,
      body: { id },
      headers: { ...matching(ifMatch), 'if-none-match': create ? '*' : undefined },
    });
  }

  delete(name: string, { ifMatch, ...options }: ChangeOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/vector-names/${encodeURIComponent(name)}`, {
      ...options,
      headers: matching(ifMatch),
    });
  }
}

const matching = (version: number | '*' | undefined) => ({
  'if-match': version === undefined ? undefined : version === '*' ? '*' : `"${version}"`,
});
