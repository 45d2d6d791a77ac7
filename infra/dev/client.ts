/** What the start script needs of the public API: the same calls that any client makes. */
import type { Job, Progress } from '../../shared/contracts/job.ts';

class ApiError extends Error {}

export class Client {
  readonly url: string;
  readonly #key: string;
  constructor(url: string, key: string) {
    this.url = url;
    this.#key = key;
  }

  async request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) {
      throw new ApiError(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    }
    return answer;
  }

  async get<T>(path: string): Promise<T> {
    return (await (await this.request('GET', path)).json()) as T;
  }

  /** Digest under which equal work is recognised. */
  async inputDigest(type: string, params: unknown): Promise<string> {
    const answer = await this.request('POST', '/v1/jobs?dry_run=true', { type, params });
    return ((await answer.json()) as { input_digest: string }).input_digest;
  }

  /** An earlier job that did exactly this work, if it can still be read. */
  async sameWork(type: string, params: unknown): Promise<Job | null> {
    const digest = await this.inputDigest(type, params);
    const { data } = await this.get<{ data: Job[] }>(`/v1/jobs?type=${type}&status=succeeded&limit=100`);
    const found = data.find((job) => job.input_digest === digest);
    return found ? this.get<Job>(`/v1/jobs/${found.id}`) : null;
  }

  /** Posts a job and follows its events to the end. Raises ApiError when it does not succeed. */
  async run(type: string, params: unknown, watch: (progress: Progress) => void): Promise<Job> {
    const created = await this.request(
      'POST',
      '/v1/jobs',
      { type, params },
      { 'idempotency-key': crypto.randomUUID() },
    );
    const { id } = (await created.json()) as Job;
    for await (const { event, data } of this.events(id)) {
      if (event === 'progress') {
        watch(data as Progress);
      }
    }
    const job = await this.get<Job>(`/v1/jobs/${id}`);
    if (job.status !== 'succeeded') {
      throw new ApiError(`${type} ${job.status}: ${job.error?.code ?? ''} ${job.error?.detail ?? ''}`);
    }
    return job;
  }

  /** Server-sent events of a job until it has ended; a dropped connection is taken up where it broke. */
  async *events(id: string): AsyncGenerator<{ event: string; data: unknown }> {
    let last = '';
    for (;;) {
      const headers: Record<string, string> = last === '' ? {} : { 'last-event-id': last };
      const answer = await this.request('GET', `/v1/jobs/${id}/events`, undefined, headers);
      let text = '';
      try {
        for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
          text += chunk;
          const frames = text.split('\n\n');
          text = frames.pop()!;
          for (const frame of frames) {
            const fields = Object.fromEntries(
              frame
                .split('\n')
                .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
            );
            if (fields.id) {
              last = fields.id;
            }
            if (fields.data) {
              yield { event: fields.event ?? 'message', data: JSON.parse(fields.data) };
            }
          }
        }
      } catch (error) {
        if (!(error instanceof TypeError)) {
          throw error;
        }
      }
      const { status } = await this.get<Job>(`/v1/jobs/${id}`);
      if (status !== 'queued' && status !== 'running') {
        return;
      }
    }
  }
}
