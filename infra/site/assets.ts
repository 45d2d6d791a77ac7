/** Puts the parts of the site that come from packages into `edge/site`, where the Worker's assets lie. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const SWAGGER = join(ROOT, 'edge/site/docs/swagger');

rmSync(SWAGGER, { recursive: true, force: true });
mkdirSync(SWAGGER, { recursive: true });
for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'LICENSE', 'NOTICE']) {
  copyFileSync(join(ROOT, 'node_modules/swagger-ui-dist', file), join(SWAGGER, file));
}
