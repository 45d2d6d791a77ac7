-- Device seconds that a tenant may take each day, set by the operator; a key's own cap lies in its limits.
CREATE TABLE spending_caps (
  tenant TEXT PRIMARY KEY,
  device_seconds_per_day REAL NOT NULL
) STRICT, WITHOUT ROWID;
