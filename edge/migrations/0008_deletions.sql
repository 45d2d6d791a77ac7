-- Blobs that are gone, for workers to drop from their caches; ids alone. Times are milliseconds since the epoch.
CREATE TABLE deletions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  -- sha-256 of the bytes
  sha256 TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;

-- The first step of deleting a tenant: the code that confirms it, as a digest.
CREATE TABLE tenant_deletions (
  tenant TEXT PRIMARY KEY,
  code TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
