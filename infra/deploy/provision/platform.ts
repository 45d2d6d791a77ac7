/** The platform's API, as far as provisioning needs it: https://developers.cloudflare.com/api (client v4). */

type Envelope = {
  success: boolean;
  result: unknown;
  errors: { code: number; message: string }[];
  result_info?: { page?: number; per_page?: number; total_pages?: number; cursor?: string };
};
type Row = Record<string, unknown>;

/** The platform refused; `status` is that of its answer. */
class PlatformError extends Error {
  readonly status: number;
  constructor(what: string, status: number, errors: Envelope['errors']) {
    const said = errors.map(({ code, message }) => `${message} (${code})`).join('; ') || 'without a reason';
    super(`${what} was answered with ${status}: ${said}`);
    this.name = 'PlatformError';
    this.status = status;
  }
}

export class Platform {
  readonly #base: string;
  readonly #token: string;
  /** @param token an API token that may edit Queues, R2, D1, KV and Workers scripts of the account */
  constructor({ api, account, token }: { api: string; account: string; token: string }) {
    this.#base = `${api}/accounts/${encodeURIComponent(account)}`;
    this.#token = token;
  }

  queues(): Promise<Row[]> {
    return this.#all('/queues');
  }
  createQueue(queue_name: string): Promise<Row> {
    return this.#one('POST', '/queues', { queue_name });
  }
  consumers(queue: string): Promise<Row[]> {
    return this.#all(`/queues/${queue}/consumers`);
  }
  /** Workers pull; what they do not take in so many deliveries goes to the queue of dead letters. */
  createPullConsumer(queue: string, dead_letter_queue: string): Promise<Row> {
    const settings = { batch_size: 10, max_retries: 100, visibility_timeout_ms: 60_000 };
    return this.#one('POST', `/queues/${queue}/consumers`, { type: 'http_pull', dead_letter_queue, settings });
  }

  async buckets(): Promise<Row[]> {
    const { result } = await this.#call('GET', '/r2/buckets?per_page=1000');
    return (result as { buckets: Row[] }).buckets;
  }
  createBucket(name: string): Promise<Row> {
    return this.#one('POST', '/r2/buckets', { name });
  }

  databases(): Promise<Row[]> {
    return this.#all('/d1/database');
  }
  createDatabase(name: string): Promise<Row> {
    return this.#one('POST', '/d1/database', { name });
  }
  /** Rows of the last statement. */
  async query(database: string, sql: string): Promise<Row[]> {
    const { result } = await this.#call('POST', `/d1/database/${database}/query`, { sql });
    return (result as { results?: Row[] }[]).at(-1)?.results ?? [];
  }

  namespaces(): Promise<Row[]> {
    return this.#all('/storage/kv/namespaces');
  }
  createNamespace(title: string): Promise<Row> {
    return this.#one('POST', '/storage/kv/namespaces', { title });
  }

  /** Names of the Worker's secrets; null while there is no such Worker. */
  async secrets(script: string): Promise<string[] | null> {
    try {
      return (await this.#all(`/workers/scripts/${script}/secrets`)).map(({ name }) => String(name));
    } catch (error) {
      if (error instanceof PlatformError && error.status === 404) {
        return null;
      }
      throw error;
    }
  }
  async putSecret(script: string, name: string, text: string): Promise<void> {
    await this.#call('PUT', `/workers/scripts/${script}/secrets`, { name, text, type: 'secret_text' });
  }

  async #one(method: string, path: string, body: unknown): Promise<Row> {
    return (await this.#call(method, path, body)).result as Row;
  }

  async #all(path: string): Promise<Row[]> {
    const rows: Row[] = [];
    for (let page = 1; ; page++) {
      const { result, result_info } = await this.#call('GET', `${path}?page=${page}&per_page=100`);
      rows.push(...((result ?? []) as Row[]));
      if (page >= (result_info?.total_pages ?? 1)) {
        return rows;
      }
    }
  }

  async #call(method: string, path: string, body?: unknown): Promise<Envelope> {
    const answer = await fetch(this.#base + path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const envelope = (await answer.json().catch(() => null)) as Envelope | null;
    if (!answer.ok || !envelope?.success) {
      throw new PlatformError(`${method} ${path.replace(/\?.*/, '')}`, answer.status, envelope?.errors ?? []);
    }
    return envelope;
  }
}
