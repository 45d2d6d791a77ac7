-- Who did what, append-only: each row carries the digest of the one before. Times are milliseconds since the epoch.
CREATE TABLE audit (
  tenant TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  -- key_, wkr_ or the service itself
  actor TEXT NOT NULL,
  -- what was done: object.verb
  action TEXT NOT NULL,
  -- id of what it was done to; never content
  target TEXT NOT NULL,
  request_id TEXT,
  -- 'done', or the problem code of a refusal
  outcome TEXT NOT NULL,
  -- sha-256 of the row before, 64 zeros for the first
  previous TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_fixed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
