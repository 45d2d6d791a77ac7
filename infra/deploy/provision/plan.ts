/** What is there, what is missing, and making it: each step looks first, so that any run may be repeated. */
import type { Platform } from './platform.ts';
import type { Kind, ProvisionRecord } from './record.ts';
import type { Wanted } from './wanted.ts';

export type Line = {
  state: 'there' | 'make' | 'made' | 'later';
  kind: Kind | 'migration';
  name: string;
  note?: string;
};
/** Values of secrets and the first key, made when they are needed. */
export type Secrets = {
  /** By name; undefined for one that whoever deploys has to bring. */
  values: Readonly<Record<string, (() => Promise<string>) | undefined>>;
  /** The key's text, shown once, and the statement that lets it in. */
  operatorKey: () => Promise<{ id: string; text: string; statement: string }>;
};
type Tools = { platform: Platform; record: ProvisionRecord; wanted: Wanted; secrets: Secrets; dry: boolean };

/** Something bears the name that this did not make. */
export class ForeignError extends Error {
  constructor(kind: Kind, name: string, found: string) {
    super(
      `there is a ${kind} '${name}' (${found}) that the record does not name: it is somebody else's, and nothing was changed. Name yours otherwise in wrangler.toml, or bring the record of the run that made it`,
    );
    this.name = 'ForeignError';
  }
}

/**
 * Brings the account to what is wanted, or with `dry` says what that takes. All that is there is looked at before
 * anything is made. @throws ForeignError before anything is changed; PlatformError
 */
export async function provision(
  tools: Tools,
): Promise<{ lines: Line[]; ids: Record<string, string>; key: string | null }> {
  const { platform, record, wanted, dry } = tools;
  const [queues, buckets, databases, namespaces] = await Promise.all([
    platform.queues(),
    platform.buckets(),
    platform.databases(),
    platform.namespaces(),
  ]);
  const found = (rows: Record<string, unknown>[], field: string, name: string, id: string): string | undefined => {
    const row = rows.find((one) => one[field] === name);
    return row && String(row[id]);
  };
  const named: [Kind, string, string | undefined, () => Promise<string>][] = [
    ...wanted.queues.map((name): [Kind, string, string | undefined, () => Promise<string>] => [
      'queue',
      name,
      found(queues, 'queue_name', name, 'queue_id'),
      async () => String((await platform.createQueue(name)).queue_id),
    ]),
    [
      'bucket',
      wanted.bucket,
      found(buckets, 'name', wanted.bucket, 'name'),
      async () => String((await platform.createBucket(wanted.bucket)).name),
    ],
    [
      'database',
      wanted.database,
      found(databases, 'name', wanted.database, 'uuid'),
      async () => String((await platform.createDatabase(wanted.database)).uuid),
    ],
    [
      'namespace',
      wanted.namespace,
      found(namespaces, 'title', wanted.namespace, 'id'),
      async () => String((await platform.createNamespace(wanted.namespace)).id),
    ],
  ];
  for (const [kind, name, id] of named) {
    if (id !== undefined && record.idOf(kind, name) !== id) {
      throw new ForeignError(kind, name, id);
    }
  }
  const consumers = await foreignConsumers(tools, (name) => found(queues, 'queue_name', name, 'queue_id'));
  const lines: Line[] = [];
  const ids: Record<string, string> = {};
  for (const [kind, name, id, make] of named) {
    if (id === undefined && !dry) {
      ids[`${kind} ${name}`] = await make();
      record.note(kind, name, ids[`${kind} ${name}`]!);
    } else if (id !== undefined) {
      ids[`${kind} ${name}`] = id;
    }
    lines.push({ kind, name, state: id !== undefined ? 'there' : dry ? 'make' : 'made' });
  }
  for (const { queue, dead } of wanted.pulled) {
    const there = consumers.has(queue);
    if (!there && !dry) {
      const made = await platform.createPullConsumer(ids[`queue ${queue}`]!, dead);
      record.note('consumer', queue, String(made.consumer_id));
    }
    lines.push({
      kind: 'consumer',
      name: queue,
      state: there ? 'there' : dry ? 'make' : 'made',
      note: `pull, dead letters to ${dead}`,
    });
  }
  const database = ids[`database ${wanted.database}`];
  lines.push(...(await migrate(tools, database)), ...(await putSecrets(tools)));
  const key = await firstKey(tools, database, lines);
  return { lines, ids, key };
}

/** Queues that have the pull consumer of this record already. @throws ForeignError where they have another */
async function foreignConsumers(
  { platform, record, wanted }: Tools,
  idOf: (queue: string) => string | undefined,
): Promise<Set<string>> {
  const there = new Set<string>();
  for (const { queue } of wanted.pulled) {
    const id = idOf(queue);
    for (const consumer of id === undefined ? [] : await platform.consumers(id)) {
      const found = String(consumer.consumer_id);
      if (record.idOf('consumer', queue) !== found) {
        throw new ForeignError('consumer', queue, found);
      }
      there.add(queue);
    }
  }
  return there;
}

/** Forward only; each file with its note in one request, so that it is applied and noted, or neither. */
async function migrate({ platform, wanted, dry }: Tools, database: string | undefined): Promise<Line[]> {
  const applied = new Set<string>();
  if (database !== undefined) {
    if (!dry) {
      await platform.query(
        database,
        'CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)',
      );
    }
    const [known] = await platform.query(database, "SELECT name FROM sqlite_master WHERE name = 'd1_migrations'");
    for (const { name } of known ? await platform.query(database, 'SELECT name FROM d1_migrations') : []) {
      applied.add(String(name));
    }
  }
  const lines: Line[] = [];
  for (const { name, sql } of wanted.migrations) {
    const there = applied.has(name);
    if (!there && !dry && database !== undefined) {
      await platform.query(
        database,
        `${sql}\nINSERT INTO d1_migrations (name) VALUES ('${name.replaceAll("'", "''")}');`,
      );
    }
    lines.push({ kind: 'migration', name, state: there ? 'there' : dry ? 'make' : 'made' });
  }
  return lines;
}

/** Never written twice: a secret that is there is some run's, or was replaced since. */
async function putSecrets({ platform, record, wanted, secrets, dry }: Tools): Promise<Line[]> {
  const there = await platform.secrets(wanted.script);
  const lines: Line[] = [];
  for (const [name, value] of Object.entries(secrets.values)) {
    if (there?.includes(name)) {
      lines.push({ kind: 'secret', name, state: 'there' });
    } else if (there === null) {
      lines.push({
        kind: 'secret',
        name,
        state: 'later',
        note: `no Worker ${wanted.script} yet: deploy it, then run this again`,
      });
    } else if (!value) {
      lines.push({ kind: 'secret', name, state: 'later', note: `give it in the environment as ${name}` });
    } else {
      if (!dry) {
        await platform.putSecret(wanted.script, name, await value());
        record.note('secret', name, wanted.script);
      }
      lines.push({ kind: 'secret', name, state: dry ? 'make' : 'made' });
    }
  }
  return lines;
}

/** The first key with the scope `operator`, once. @returns its text, or null where there is one */
async function firstKey(
  { platform, record, secrets, dry }: Tools,
  database: string | undefined,
  lines: Line[],
): Promise<string | null> {
  const before = record.idOf('operator key', 'first');
  if (before !== undefined || database === undefined || dry) {
    lines.push({ kind: 'operator key', name: 'first', state: before !== undefined ? 'there' : 'make' });
    return null;
  }
  const { id, text, statement } = await secrets.operatorKey();
  await platform.query(database, statement);
  record.note('operator key', 'first', id);
  lines.push({ kind: 'operator key', name: 'first', state: 'made' });
  return text;
}
