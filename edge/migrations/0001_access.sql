-- Who may call: API keys of clients and signing keys of workers. Times are milliseconds since the epoch.
CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  -- sha-256 of the whole key text, in hexadecimal; the text itself is nowhere
  hash TEXT NOT NULL,
  scopes TEXT NOT NULL,
  -- requests per minute by policy, as JSON; policies that are absent take the deployment's default
  limits TEXT NOT NULL DEFAULT '{}',
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX keys_by_tenant ON keys (tenant, created_at DESC, id DESC);

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  pool TEXT NOT NULL,
  -- Ed25519 public JWK
  jwk TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT;
