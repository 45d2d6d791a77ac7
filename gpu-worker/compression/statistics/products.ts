/** Matrix products on the runtime, in single and double precision, for sizes that change from call to call. */
import * as g from '../../graph/index.ts';
import { passing, Session } from '../../runtime/index.ts';
import { Rooms } from './rooms.ts';

type Precision = 'float32' | 'float64';
type Values<P extends Precision> = P extends 'float32' ? Float32Array : Float64Array;
type Operand<P extends Precision> = { rows: number; cols: number; data: Values<P> };

export class Products {
  /** For whoever computes with these products, one thing at a time. */
  readonly rooms = new Rooms();
  readonly #threads: number | undefined;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor({ threads }: { threads?: number | undefined } = {}) {
    this.#threads = threads;
  }

  /** A B, or with the flags A^T B and A B^T. */
  async multiply<P extends Precision>(
    precision: P,
    a: Operand<P>,
    b: Operand<P>,
    { transA = false, transB = false } = {},
  ): Promise<Values<P>> {
    const session = await this.#session(precision, transA, transB);
    const out = await session.run({
      a: { shape: [a.rows, a.cols], data: a.data },
      b: { shape: [b.rows, b.cols], data: b.data },
    });
    const product = out.product!.data as Values<P>;
    passing(product.byteLength);
    return product;
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) {
      await (await session).release();
    }
    this.#sessions.clear();
  }

  #session(precision: Precision, transA: boolean, transB: boolean): Promise<Session> {
    const key = `${precision} ${transA} ${transB}`;
    let session = this.#sessions.get(key);
    if (!session) {
      const a = g.input('a', transA ? ['k', 'm'] : ['m', 'k'], precision);
      const b = g.input('b', transB ? ['n', 'k'] : ['k', 'n'], precision);
      const program = g.compile({ product: g.matmul(a, b, { transA, transB }) }, { name: 'product' });
      const threads = this.#threads;
      session = Session.create(program, { ...(threads !== undefined && { threads }), spinning: false, arena: false });
      this.#sessions.set(key, session);
    }
    return session;
  }
}
