-- Delivery queues that wait for something, and all queues of addresses that single jobs named: those have no other list.
CREATE TABLE delivery_queues (
  name TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  -- deliveries that have not arrived yet
  waiting INTEGER NOT NULL,
  -- when the oldest of them came, ms since the epoch
  oldest INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_queues_by_tenant ON delivery_queues (tenant);

-- What the operator did in the database by statements of infra/operator/mint.ts, until it is taken into the audit log.
CREATE TABLE operator_events (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  at INTEGER NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  -- a second taking fails, and with it the row that it would double
  taken INTEGER NOT NULL DEFAULT 0 CHECK (taken <= 1)
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_events_open ON operator_events (tenant) WHERE taken = 0;

-- Set in the same transaction as the audit row: what follows is begun again until it is done.
ALTER TABLE tenant_deletions ADD COLUMN confirmed_at INTEGER;
