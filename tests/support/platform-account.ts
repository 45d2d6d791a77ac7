/** An account of the platform that provisioning is tried against: its published API over a real SQLite. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { REQUEST_BODIES } from './platform-schemas.ts';

type Row = Record<string, unknown>;
type Answer = { result: unknown; status?: number };

export class PlatformAccount {
  readonly tables: Record<'queues' | 'buckets' | 'databases' | 'namespaces', Row[]> = {
    queues: [],
    buckets: [],
    databases: [],
    namespaces: [],
  };
  readonly consumers = new Map<string, Row[]>();
  /** By name; null while there is no Worker. */
  secrets: Map<string, string> | null = null;
  readonly contents = new Map<string, DatabaseSync>();
  /** Requests that changed something, as method and path. */
  readonly changes: string[] = [];
  /** What requests broke of the schemas. */
  readonly faults: string[] = [];
  /** Ends the answering at this change, as a lost connection does. */
  breakAt = Number.POSITIVE_INFINITY;
  #ids = 0;
  #server: Server | undefined;

  async start(): Promise<string> {
    this.#server = createServer(async (request, response) => {
      const path = new URL(request.url ?? '', 'http://platform').pathname.replace('/client/v4/accounts/account', '');
      const body = Buffer.concat(await request.toArray()).toString();
      const reads = request.method === 'GET' || path.endsWith('/query');
      if (!reads && this.changes.length >= this.breakAt) {
        response.destroy();
        return;
      }
      let answer: Answer;
      try {
        answer = this.#answer(request.method ?? '', path, body === '' ? null : (JSON.parse(body) as Row));
      } catch (error) {
        answer = { status: 400, result: String(error) };
      }
      if (!reads) {
        this.changes.push(`${request.method} ${path}`);
      }
      const { result, status = 200 } = answer;
      const success = status < 400;
      const errors = success ? [] : [{ code: status === 404 ? 10_007 : 7003, message: String(result) }];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ success, errors, messages: [], result: success ? result : null }));
    });
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/client/v4`;
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  #answer(method: string, path: string, body: Row | null): Answer {
    const [, , id = ''] = /^(\/queues|\/d1\/database|\/workers\/scripts)\/([^/]+)/.exec(path) ?? [];
    const operation = `${method} ${path.replace(`/${id}/`, '/:/')}`;
    const schema = REQUEST_BODIES[operation];
    if (method !== 'GET') {
      const parsed = schema?.safeParse(body);
      if (!parsed?.success) {
        this.faults.push(`${operation}: ${parsed ? JSON.stringify(parsed.error.issues) : 'no such operation'}`);
        return { status: 400, result: 'the body does not fit' };
      }
    }
    const { queues, buckets, databases, namespaces } = this.tables;
    switch (operation) {
      case 'GET /queues':
        return { result: queues };
      case 'POST /queues':
        return this.#add(queues, 'queue_name', { queue_id: this.#id(), queue_name: body!.queue_name });
      case 'GET /queues/:/consumers':
        return { result: this.consumers.get(id) ?? [] };
      case 'POST /queues/:/consumers': {
        if (!queues.some(({ queue_name }) => queue_name === body!.dead_letter_queue)) {
          return { status: 400, result: 'there is no such queue of dead letters' };
        }
        const consumer = { consumer_id: this.#id(), ...body };
        this.consumers.set(id, [...(this.consumers.get(id) ?? []), consumer]);
        return { result: consumer };
      }
      case 'GET /r2/buckets':
        return { result: { buckets } };
      case 'POST /r2/buckets':
        return this.#add(buckets, 'name', { name: body!.name });
      case 'GET /d1/database':
        return { result: databases };
      case 'POST /d1/database': {
        const uuid = this.#id();
        this.contents.set(uuid, new DatabaseSync(':memory:'));
        return this.#add(databases, 'name', { uuid, name: body!.name });
      }
      case 'POST /d1/database/:/query':
        return { result: [{ success: true, results: this.#query(id, String(body!.sql)) }] };
      case 'GET /storage/kv/namespaces':
        return { result: namespaces };
      case 'POST /storage/kv/namespaces':
        return this.#add(namespaces, 'title', { id: this.#id(), title: body!.title });
      case 'GET /workers/scripts/:/secrets':
        return this.secrets
          ? { result: [...this.secrets.keys()].map((name) => ({ name, type: 'secret_text' })) }
          : { status: 404, result: 'no such Worker' };
      case 'PUT /workers/scripts/:/secrets':
        this.secrets!.set(String(body!.name), String(body!.text));
        return { result: { name: body!.name, type: 'secret_text' } };
      default:
        this.faults.push(`${operation}: no such operation`);
        return { status: 404, result: 'no such operation' };
    }
  }

  #query(database: string, sql: string): Row[] {
    const held = this.contents.get(database)!;
    if (/^SELECT/i.test(sql)) {
      return held.prepare(sql).all() as Row[];
    }
    held.exec('BEGIN');
    try {
      held.exec(sql);
      held.exec('COMMIT');
    } catch (error) {
      held.exec('ROLLBACK');
      throw error;
    }
    return [];
  }

  #add(rows: Row[], name: string, row: Row): Answer {
    if (rows.some((one) => one[name] === row[name])) {
      return { status: 409, result: 'it is there already' };
    }
    rows.push(row);
    return { result: row };
  }

  #id(): string {
    this.#ids += 1;
    return `id-${this.#ids}`;
  }
}
