/** Puts the parts of the site that are made into `edge/site`, where the Worker's assets lie: what packages bring, and the page. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const SWAGGER = join(ROOT, 'edge/site/docs/swagger');

rmSync(SWAGGER, { recursive: true, force: true });
mkdirSync(SWAGGER, { recursive: true });
for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'LICENSE', 'NOTICE']) {
  copyFileSync(join(ROOT, 'node_modules/swagger-ui-dist', file), join(SWAGGER, file));
}

buildSync({
  entryPoints: [join(ROOT, 'edge/ui/main.ts')],
  outfile: join(ROOT, 'edge/site/ui/app.js'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
});
