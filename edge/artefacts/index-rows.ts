/** The statements that make artefacts visible. They can be run again without harm, so an outbox may retry them. */
import type { Env } from '../environment.ts';
import type { PromotedArtefact } from './promotion.ts';

/** Rows per statement: keeps the bound JSON far below D1's limit of 2 MB for a value. */
const ROWS = 1000;

/** Statements for one `DB.batch` (one transaction). Times in ms since the epoch. */
export function artefactStatements(
  env: Env,
  of: {
    tenant: string;
    job: string | null;
    artefacts: readonly PromotedArtefact[];
    created: number;
    expires: number | null;
  },
): D1PreparedStatement[] {
  const statements: D1PreparedStatement[] = [];
  for (let i = 0; i < of.artefacts.length; i += ROWS) {
    const rows = JSON.stringify(of.artefacts.slice(i, i + ROWS));
    statements.push(
      env.DB.prepare(
        `INSERT OR IGNORE INTO artefacts (id, tenant, sha256, bytes, media_type, name, job, state, created_at, expires_at)
         SELECT value ->> 'id', ?2, value ->> 'sha256', value ->> 'bytes', value ->> 'media_type', value ->> 'name', ?3,
           'stored', ?4, ?5 FROM json_each(?1)`,
      ).bind(rows, of.tenant, of.job, of.created, of.expires),
      env.DB.prepare(
        `INSERT OR IGNORE INTO blob_uses (tenant, sha256, holder)
         SELECT ?2, value ->> 'sha256', value ->> 'id' FROM json_each(?1)`,
      ).bind(rows, of.tenant),
    );
  }
  return statements;
}
