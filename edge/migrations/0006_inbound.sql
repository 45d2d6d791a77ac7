-- Recipes, the hooks that start them, and the index of runs. Times are milliseconds since the epoch.
CREATE TABLE recipes (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  latest INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX recipes_by_tenant ON recipes (tenant, created_at DESC, id DESC);
CREATE TABLE recipe_versions (
  recipe TEXT NOT NULL,
  version INTEGER NOT NULL,
  -- JSON; never changed
  body TEXT NOT NULL,
  -- the key that stored it
  key TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (recipe, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbound_hooks (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  provider TEXT NOT NULL,
  recipe TEXT NOT NULL,
  -- null: the latest at the time of the event
  recipe_version INTEGER,
  repositories TEXT NOT NULL,
  ref TEXT NOT NULL,
  pointers TEXT NOT NULL,
  -- sealed, newest first
  secrets TEXT NOT NULL,
  -- the key whose scopes and limits its runs act with
  key TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX inbound_hooks_by_tenant ON inbound_hooks (tenant, created_at DESC, id DESC);
CREATE INDEX inbound_hooks_by_recipe ON inbound_hooks (recipe);

-- Each run's own object writes its row, guarded by its revision.
CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  hook TEXT NOT NULL,
  recipe TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revision INTEGER NOT NULL,
  summary TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_tenant ON runs (tenant, created_at DESC, id DESC);
CREATE INDEX runs_by_recipe ON runs (recipe);
