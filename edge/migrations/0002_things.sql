-- What tenants own. Times are milliseconds since the epoch.

-- Bytes under t/<tenant>/blob/<sha256>: 'reserved' while they are being promoted, 'doomed' while they are being deleted.
CREATE TABLE blobs (
  tenant TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('reserved', 'stored', 'doomed')),
  touched_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_touch ON blobs (touched_at);

-- Which artefact or thing keeps a blob alive.
CREATE TABLE blob_uses (
  tenant TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  holder TEXT NOT NULL,
  PRIMARY KEY (tenant, sha256, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_uses_by_holder ON blob_uses (holder);

-- A tenant's handle on a blob; 'pending' while an upload grant waits for its bytes.
CREATE TABLE artefacts (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  name TEXT NOT NULL,
  job TEXT,
  state TEXT NOT NULL CHECK (state IN ('pending', 'stored')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER
) STRICT;
CREATE INDEX artefacts_by_tenant ON artefacts (tenant, created_at DESC, id DESC);
CREATE INDEX artefacts_by_expiry ON artefacts (expires_at) WHERE expires_at IS NOT NULL;

-- Attempts that were given upload addresses; `uploads` numbers them.
CREATE TABLE staging (
  tenant TEXT NOT NULL,
  job TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  uploads INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, job, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX staging_by_touch ON staging (touched_at);

-- Manifested things; the id is the digest of the manifest.
CREATE TABLE things (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  manifest TEXT NOT NULL,
  job TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX things_by_kind ON things (tenant, kind, created_at DESC, id DESC);

CREATE TABLE vector_names (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  vector TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Models that a worker has resolved for a tenant's job.
CREATE TABLE models (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  description TEXT NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
