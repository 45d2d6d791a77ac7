-- Device seconds that jobs took, settled at their end; kept when the job is deleted. Times are milliseconds since the epoch.
CREATE TABLE usage (
  job TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  -- the key in whose name the job was created; empty for jobs from before keys were noted
  key TEXT NOT NULL,
  -- YYYY-MM-DD, UTC, of the job's end
  day TEXT NOT NULL,
  device_seconds REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_day ON usage (tenant, day);
