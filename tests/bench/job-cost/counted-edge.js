/**
 * The edge with counters around what the platform charges for: requests to each class of objects, their SQL statements and rows,
 * alarms, D1, R2, KV, queue messages. `GET /counts` answers and resets them. Bundled by the bench in place of the edge's entry.
 */
import edge, * as classes from '../../../edge/index.ts';

const fresh = () => ({
  worker: 0,
  objects: {},
  d1: { calls: 0, statements: 0, read: 0, written: 0, sql: {} },
  r2: {},
  kv: {},
  messages: 0,
});
let counts = fresh();
/** Cursors whose rows are counted once they have been read. */
let cursors = [];

const of = (name) => {
  counts.objects[name] ??= {
    requests: 0,
    methods: {},
    statements: 0,
    read: 0,
    written: 0,
    stored: 0,
    alarms: 0,
    alarms_set: 0,
    sql: {},
  };
  return counts.objects[name];
};
const add = (into, key) => {
  into[key] = (into[key] ?? 0) + 1;
};
/** Replaces a method for all instances of a platform class. */
const around = (instance, method, make) => {
  const prototype = Object.getPrototypeOf(instance);
  const original = prototype[method];
  if (typeof original === 'function' && !original.counted) {
    const wrapped = make(original);
    wrapped.counted = true;
    prototype[method] = wrapped;
  }
};

/** The class that a storage belongs to. */
const owners = new WeakMap();
const own = (context, name) => {
  const { storage } = context;
  owners.set(storage, name);
  owners.set(storage.sql, name);
  around(
    storage.sql,
    'exec',
    (exec) =>
      function (text, ...values) {
        const cursor = exec.call(this, text, ...values);
        const name = owners.get(this) ?? '?';
        const statements = text.split(';').filter((part) => part.trim()).length;
        of(name).statements += statements;
        of(name).sql[text] = (of(name).sql[text] ?? 0) + statements;
        cursors.push([name, cursor]);
        return cursor;
      },
  );
  for (const method of ['get', 'put', 'delete', 'list']) {
    around(
      storage,
      method,
      (original) =>
        function (...values) {
          of(owners.get(this) ?? '?').stored += 1;
          return original.apply(this, values);
        },
    );
  }
  around(
    storage,
    'setAlarm',
    (original) =>
      function (...values) {
        of(owners.get(this) ?? '?').alarms_set += 1;
        return original.apply(this, values);
      },
  );
};

const NAMESPACES = {
  LEDGER: 'Ledger',
  IDEMPOTENCY: 'Idempotency',
  QUOTA: 'QuotaKeeper',
  INBOX: 'InboundInbox',
  RUN: 'Run',
  DISPATCHER: 'Dispatcher',
  ERASER: 'TenantEraser',
  SPENDING: 'SpendingAccount',
  DELIVERIES: 'DeliveryQueue',
};
const calling = (target, note) =>
  new Proxy(target, {
    get: (_, name) => {
      const value = target[name];
      return typeof value === 'function'
        ? (...values) => {
            note(name);
            return target[name](...values);
          }
        : value;
    },
  });
const namespace = (target, name) =>
  new Proxy(target, {
    get:
      (_, method) =>
      (...values) =>
        calling(target[method](...values), (called) => {
          of(name).requests += 1;
          add(of(name).methods, called);
        }),
  });

const counted = (env) => {
  const statement = env.DB.prepare('SELECT 1');
  const answered = (results) => {
    for (const { meta } of results) {
      counts.d1.read += meta?.rows_read ?? 0;
      counts.d1.written += meta?.rows_written ?? 0;
    }
  };
  around(
    env.DB,
    'batch',
    (original) =>
      async function (statements) {
        counts.d1.calls += 1;
        counts.d1.statements += statements.length;
        for (const one of statements) {
          add(counts.d1.sql, one.statement ?? '?');
        }
        const results = await original.call(this, statements);
        answered(results);
        return results;
      },
  );
  for (const method of ['first', 'run', 'all', 'raw']) {
    around(
      statement,
      method,
      (original) =>
        async function (...values) {
          counts.d1.calls += 1;
          counts.d1.statements += 1;
          add(counts.d1.sql, this.statement ?? '?');
          const result = await original.apply(this, values);
          if (result?.meta) {
            answered([result]);
          } else {
            counts.d1.read += 1;
          }
          return result;
        },
    );
  }
  const bound = Object.fromEntries(
    Object.entries(NAMESPACES).map(([binding, name]) => [binding, namespace(env[binding], name)]),
  );
  const queue = (target) => calling(target, () => (counts.messages += 1));
  return {
    ...env,
    ...bound,
    R2: calling(env.R2, (method) => add(counts.r2, method)),
    KV: calling(env.KV, (method) => add(counts.kv, method)),
    GPU_QUEUE: queue(env.GPU_QUEUE),
    GPU_QUEUE_INTERACTIVE: queue(env.GPU_QUEUE_INTERACTIVE),
  };
};

const counting = (name, Counted = classes[name]) =>
  class extends Counted {
    constructor(context, env) {
      own(context, name);
      super(context, counted(env));
    }
    alarm(...values) {
      of(name).alarms += 1;
      return super.alarm(...values);
    }
  };
export const Ledger = counting('Ledger');
export const Idempotency = counting('Idempotency');
export const Dispatcher = counting('Dispatcher');
export const SpendingAccount = counting('SpendingAccount');
export const DeliveryQueue = counting('DeliveryQueue');
export const InboundInbox = counting('InboundInbox');
export const Run = counting('Run');
export const TenantEraser = counting('TenantEraser');
export const QuotaKeeper = counting('QuotaKeeper');

export default {
  ...edge,
  fetch(request, env, context) {
    if (new URL(request.url).pathname === '/counts') {
      for (const [name, cursor] of cursors) {
        of(name).read += cursor.rowsRead;
        of(name).written += cursor.rowsWritten;
      }
      const answer = Response.json(counts);
      counts = fresh();
      cursors = [];
      return answer;
    }
    counts.worker += 1;
    return edge.fetch(request, counted(env), context);
  },
  queue: (batch, env, context) => edge.queue(batch, counted(env), context),
};
