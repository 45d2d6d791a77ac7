/** Gives `cloudflare:workers` the project's bindings and the ones that only tests have. */
declare namespace Cloudflare {
  interface Env extends SextantEnv {
    TEST_MIGRATIONS: import('cloudflare:test').D1Migration[];
  }
  interface GlobalProps {
    mainModule: typeof import('../../edge/index.ts');
  }
}
type SextantEnv = import('../../edge/environment.ts').Env;
