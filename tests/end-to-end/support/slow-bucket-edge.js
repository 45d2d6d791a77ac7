/** The edge with a bucket that takes SLOW_PUT_MS longer for every object that it is given. Stands in the place of the edge's entry. */
import worker from '../../../edge/index.ts';

export * from '../../../edge/index.ts';

const slowed = (env) => ({
  ...env,
  R2: new Proxy(env.R2, {
    get(bucket, name) {
      const value = bucket[name];
      if (name !== 'put') {
        return typeof value === 'function' ? value.bind(bucket) : value;
      }
      return async (...given) => {
        await new Promise((resolve) => setTimeout(resolve, Number(env.SLOW_PUT_MS)));
        return bucket.put(...given);
      };
    },
  }),
});

export default { ...worker, fetch: (request, env, context) => worker.fetch(request, slowed(env), context) };
