/** Gradients of the weights, latent by latent, and the optimiser's step. Every latent belongs to exactly one thread. */
import { type Body, type Code, f32, f32x4, f64, i32, kernel, type Local, v128 } from '../../../wasm/assembler.ts';
import { sumLanes, wordAt } from './decode-kernel.ts';

const ZERO = i32.const(0);
const ONE = i32.const(1);
const BYTES = i32.const(16);
const NONE = f32x4.splat(f32.const(0));

const vectors = (f: Body, rowBytes: Local, body: (at: Local) => void): void => f.for(ZERO, rowBytes.get, BYTES, body);

/**
 * For latents `begin .. end` with entries: encoder gradient = sum dz x_row, decoder gradient = scale sum z error_row with
 * its component along the decoder row removed, bias gradient = sum dz, norms[latent] (float64) = squared norm of all
 * three. Latents without entries: bias gradient and norm 0, rows left alone. Rows from `auxiliary` on take
 * x_(row - auxiliary).
 */
export const weightGradients = kernel(
  'weight_gradients',
  {
    begin: 'i32',
    end: 'i32',
    rowBytes: 'i32',
    auxiliary: 'i32',
    offsets: 'i32',
    rowOf: 'i32',
    codeOf: 'i32',
    gradientOf: 'i32',
    inputs: 'i32',
    errors: 'i32',
    decoder: 'i32',
    encoderGradient: 'i32',
    decoderGradient: 'i32',
    biasGradient: 'i32',
    norms: 'i32',
    scale: 'f32',
    project: 'i32',
  },
  (f, p) => {
    const entry = f.local('i32');
    const last = f.local('i32');
    const bias = f.local('f32');
    const row = f.local('i32');
    const rows = { encoder: f.local('i32'), decoder: f.local('i32'), own: f.local('i32') };
    const sum = f.local('v128');
    const factor = f.local('v128');

    const accumulate = (size: number) => {
      const each = Array.from({ length: size }, () => ({
        input: f.local('i32'),
        error: f.local('i32'),
        gradient: f.local('v128'),
        code: f.local('v128'),
      }));
      f.while(i32.ge(last.get, i32.add(entry.get, i32.const(size))), () => {
        each.forEach(({ input, error, gradient, code }, j) => {
          f.do(row.set(i32.load(wordAt(p.rowOf, entry), 4 * j)));
          f.do(error.set(i32.add(p.errors.get, i32.mul(row.get, p.rowBytes.get))));
          f.if(i32.ge(row.get, p.auxiliary.get), () => f.do(row.set(i32.sub(row.get, p.auxiliary.get))));
          f.do(input.set(i32.add(p.inputs.get, i32.mul(row.get, p.rowBytes.get))));
          f.do(bias.set(f32.add(bias.get, f32.load(wordAt(p.gradientOf, entry), 4 * j))));
          f.do(gradient.set(f32x4.splat(f32.load(wordAt(p.gradientOf, entry), 4 * j))));
          f.do(code.set(f32x4.splat(f32.mul(p.scale.get, f32.load(wordAt(p.codeOf, entry), 4 * j)))));
        });
        vectors(f, p.rowBytes, (at) => {
          const add = (target: Local, terms: Code[]) => {
            const address = i32.add(target.get, at.get);
            const total = terms.reduce((left, right) => f32x4.add(left, right));
            f.do(v128.store(address, f32x4.add(v128.load(address), total)));
          };
          const at4 = (base: Local) => v128.load(i32.add(base.get, at.get));
          add(
            rows.encoder,
            each.map(({ gradient, input }) => f32x4.mul(gradient.get, at4(input))),
          );
          add(
            rows.decoder,
            each.map(({ code, error }) => f32x4.mul(code.get, at4(error))),
          );
        });
        f.do(entry.set(i32.add(entry.get, i32.const(size))));
      });
    };

    f.for(p.begin.get, p.end.get, ONE, (latent) => {
      const offset = f.let('i32', i32.mul(latent.get, p.rowBytes.get));
      f.do(rows.encoder.set(i32.add(p.encoderGradient.get, offset.get)));
      f.do(rows.decoder.set(i32.add(p.decoderGradient.get, offset.get)));
      f.do(rows.own.set(i32.add(p.decoder.get, offset.get)));
      f.do(entry.set(i32.load(wordAt(p.offsets, latent))));
      f.do(last.set(i32.load(wordAt(p.offsets, latent), 4)));
      f.do(bias.set(f32.const(0)));
      const norm = f.let('i32', i32.add(p.norms.get, i32.shl(latent.get, i32.const(3))));
      f.do(f64.store(norm.get, f64.const(0)));
      f.if(i32.lt(entry.get, last.get), () => {
        vectors(f, p.rowBytes, (at) => {
          f.do(v128.store(i32.add(rows.encoder.get, at.get), NONE));
          f.do(v128.store(i32.add(rows.decoder.get, at.get), NONE));
        });
        accumulate(4);
        accumulate(1);
        f.if(p.project.get, () => {
          f.do(sum.set(NONE));
          vectors(f, p.rowBytes, (at) => {
            const along = f32x4.mul(
              v128.load(i32.add(rows.decoder.get, at.get)),
              v128.load(i32.add(rows.own.get, at.get)),
            );
            f.do(sum.set(f32x4.add(sum.get, along)));
          });
          f.do(factor.set(f32x4.splat(sumLanes(sum))));
          vectors(f, p.rowBytes, (at) => {
            const address = i32.add(rows.decoder.get, at.get);
            const along = f32x4.mul(factor.get, v128.load(i32.add(rows.own.get, at.get)));
            f.do(v128.store(address, f32x4.sub(v128.load(address), along)));
          });
        });
        f.do(sum.set(NONE));
        vectors(f, p.rowBytes, (at) => {
          for (const target of [rows.encoder, rows.decoder]) {
            f.do(factor.set(v128.load(i32.add(target.get, at.get))));
            f.do(sum.set(f32x4.add(sum.get, f32x4.mul(factor.get, factor.get))));
          }
        });
        const total = f32.add(sumLanes(sum), f32.mul(bias.get, bias.get));
        f.do(f64.store(norm.get, f64.fromF32(total)));
      });
      f.do(f32.store(wordAt(p.biasGradient, latent), bias.get));
    });
  },
);

const adamParameters = {
  rate: 'f32',
  beta1: 'f32',
  beta2: 'f32',
  /** 1 - beta1 and 1 - beta2, formed in double precision. */
  rest1: 'f32',
  rest2: 'f32',
  epsilon: 'f32',
  /** 1 / sqrt(1 - beta2^t); `rate` is already divided by 1 - beta1^t. */
  correction: 'f32',
  /** Factor on the gradient (clipping). */
  clip: 'f32',
} as const;
type AdamLocals = { readonly [K in keyof typeof adamParameters]: Local };

/** Constants of the optimiser in vector form, once per call. */
function splatAdam(f: Body, p: AdamLocals) {
  const splat = (value: Code) => f.let('v128', f32x4.splat(value));
  return {
    rate: splat(p.rate.get),
    beta1: splat(p.beta1.get),
    beta2: splat(p.beta2.get),
    rest1: splat(p.rest1.get),
    rest2: splat(p.rest2.get),
    epsilon: splat(p.epsilon.get),
    correction: splat(p.correction.get),
    clip: splat(p.clip.get),
    tiny: splat(f32.const(1e-30)),
  };
}

/**
 * Adam on four values (Kingma & Ba 2015), in PyTorch's order of operations. Moments below 1e-30 become 0: they cannot
 * move a weight, and as denormal numbers they would slow every later step.
 */
function adamVector(f: Body, constants: ReturnType<typeof splatAdam>, locals: { m: Local; v: Local; g: Local }) {
  const c = constants;
  return (weight: Code, first: Code, second: Code, gradient: Code) => {
    const { m, v, g } = locals;
    const flush = (value: Local) => v128.and(value.get, f32x4.gt(f32x4.abs(value.get), c.tiny.get));
    f.do(g.set(f32x4.mul(gradient, c.clip.get)));
    f.do(m.set(f32x4.add(f32x4.mul(c.beta1.get, v128.load(first)), f32x4.mul(c.rest1.get, g.get))));
    f.do(m.set(flush(m)));
    const square = f32x4.mul(f32x4.mul(c.rest2.get, g.get), g.get);
    f.do(v.set(f32x4.add(f32x4.mul(c.beta2.get, v128.load(second)), square)));
    f.do(v.set(flush(v)));
    f.do(v128.store(first, m.get), v128.store(second, v.get));
    const divisor = f32x4.add(f32x4.mul(f32x4.sqrt(v.get), c.correction.get), c.epsilon.get);
    const step = f32x4.div(f32x4.mul(c.rate.get, m.get), divisor);
    f.do(v128.store(weight, f32x4.sub(v128.load(weight), step)));
  };
}

/**
 * Adam on the encoder and decoder rows of latents `begin .. end`; a latent without entries has gradient 0. Then, if
 * `unit`, each decoder row is divided by its norm (a zero row stays).
 */
export const updateRows = kernel(
  'update_rows',
  {
    begin: 'i32',
    end: 'i32',
    rowBytes: 'i32',
    offsets: 'i32',
    encoder: 'i32',
    encoderFirst: 'i32',
    encoderSecond: 'i32',
    encoderGradient: 'i32',
    decoder: 'i32',
    decoderFirst: 'i32',
    decoderSecond: 'i32',
    decoderGradient: 'i32',
    unit: 'i32',
    ...adamParameters,
  },
  (f, p) => {
    const locals = { m: f.local('v128'), v: f.local('v128'), g: f.local('v128') };
    const adam = adamVector(f, splatAdam(f, p), locals);
    const sum = f.local('v128');
    const norm = f.local('f32');
    f.for(p.begin.get, p.end.get, ONE, (latent) => {
      const offset = f.let('i32', i32.mul(latent.get, p.rowBytes.get));
      const none = f.let('i32', i32.eq(i32.load(wordAt(p.offsets, latent)), i32.load(wordAt(p.offsets, latent), 4)));
      const half = (gradient: (base: Local, at: Local) => Code) =>
        vectors(f, p.rowBytes, (at) => {
          const of = (base: Local): Code => i32.add(i32.add(base.get, offset.get), at.get);
          adam(of(p.encoder), of(p.encoderFirst), of(p.encoderSecond), gradient(p.encoderGradient, at));
          adam(of(p.decoder), of(p.decoderFirst), of(p.decoderSecond), gradient(p.decoderGradient, at));
        });
      f.if(
        none.get,
        () => half(() => NONE),
        () => half((base, at) => v128.load(i32.add(i32.add(base.get, offset.get), at.get))),
      );
      f.if(p.unit.get, () => {
        const row = f.let('i32', i32.add(p.decoder.get, offset.get));
        f.do(sum.set(NONE));
        vectors(f, p.rowBytes, (at) => {
          f.do(locals.v.set(v128.load(i32.add(row.get, at.get))));
          f.do(sum.set(f32x4.add(sum.get, f32x4.mul(locals.v.get, locals.v.get))));
        });
        f.do(norm.set(f32.sqrt(sumLanes(sum))));
        f.if(f32.gt(norm.get, f32.const(0)), () => {
          f.do(sum.set(f32x4.splat(norm.get)));
          vectors(f, p.rowBytes, (at) => {
            const address = i32.add(row.get, at.get);
            f.do(v128.store(address, f32x4.div(v128.load(address), sum.get)));
          });
        });
      });
    });
  },
);

/** Adam on `bytes` (a multiple of 16) of a vector such as a bias. */
export const updateVector = kernel(
  'update_vector',
  { bytes: 'i32', weight: 'i32', first: 'i32', second: 'i32', gradient: 'i32', ...adamParameters },
  (f, p) => {
    const adam = adamVector(f, splatAdam(f, p), { m: f.local('v128'), v: f.local('v128'), g: f.local('v128') });
    vectors(f, p.bytes, (at) => {
      const of = (base: Local): Code => i32.add(base.get, at.get);
      adam(of(p.weight), of(p.first), of(p.second), v128.load(of(p.gradient)));
    });
  },
);

/**
 * out[column] = scale sum_rows error - sum_latents bias gradient encoder row, over the columns at bytes
 * `begin .. end`: the gradient of the decoder bias. The second sum is left out when `latents` is 0 (bias not subtracted
 * from the input). Split over threads by columns, so that the order of every sum is fixed.
 */
export const decoderBiasGradient = kernel(
  'decoder_bias_gradient',
  {
    begin: 'i32',
    end: 'i32',
    rowBytes: 'i32',
    rows: 'i32',
    errors: 'i32',
    latents: 'i32',
    biasGradient: 'i32',
    encoder: 'i32',
    out: 'i32',
    scale: 'f32',
  },
  (f, p) => {
    const row = f.local('i32');
    const factor = f.local('v128');
    const value = f.local('f32');
    const columns = (body: (at: Local) => void) => f.for(p.begin.get, p.end.get, BYTES, body);
    columns((at) => f.do(v128.store(i32.add(p.out.get, at.get), NONE)));
    f.do(factor.set(f32x4.splat(p.scale.get)));
    const accumulate = () =>
      columns((at) => {
        const address = i32.add(p.out.get, at.get);
        const term = f32x4.mul(factor.get, v128.load(i32.add(row.get, at.get)));
        f.do(v128.store(address, f32x4.add(v128.load(address), term)));
      });
    f.for(ZERO, p.rows.get, ONE, (i) => {
      f.do(row.set(i32.add(p.errors.get, i32.mul(i.get, p.rowBytes.get))));
      accumulate();
    });
    f.for(ZERO, p.latents.get, ONE, (i) => {
      f.do(value.set(f32.load(wordAt(p.biasGradient, i))));
      f.if(
        f32.eq(value.get, f32.const(0)),
        () => {},
        () => {
          f.do(factor.set(f32x4.splat(f32.mul(f32.const(-1), value.get))));
          f.do(row.set(i32.add(p.encoder.get, i32.mul(i.get, p.rowBytes.get))));
          accumulate();
        },
      );
    });
  },
);
