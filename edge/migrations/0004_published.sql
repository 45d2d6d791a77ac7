-- The index of published results was called "things".
ALTER TABLE things RENAME TO published;
DROP INDEX things_by_kind;
CREATE INDEX published_by_kind ON published (tenant, kind, created_at DESC, id DESC);
