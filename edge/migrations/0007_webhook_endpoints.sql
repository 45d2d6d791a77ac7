-- Where events are sent. Times are milliseconds since the epoch.
CREATE TABLE webhook_endpoints (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  address TEXT NOT NULL,
  -- JSON list of filters
  events TEXT NOT NULL,
  -- v1 or v1a
  scheme TEXT NOT NULL,
  -- sealed, newest first
  secrets TEXT NOT NULL,
  disabled_at INTEGER,
  disabled_reason TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant, created_at DESC, id DESC);

-- A tenant's secret for the webhooks of single jobs, once it has been rotated; before, it follows from the deployment's key.
CREATE TABLE webhook_secrets (
  tenant TEXT PRIMARY KEY,
  secrets TEXT NOT NULL
) STRICT, WITHOUT ROWID;
