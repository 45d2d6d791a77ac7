-- The index of jobs that lists read; each job's ledger object writes its own row. Times are milliseconds since the epoch.
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  -- the ledger's revision that this row shows; an older one never replaces it
  revision INTEGER NOT NULL,
  -- the job as lists show it, JSON
  summary TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_tenant ON jobs (tenant, created_at DESC, id DESC);
