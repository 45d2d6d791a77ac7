/** The trained network ready to run over any number of windows. */
import * as g from '../../graph/index.ts';
import { type Provider, Session } from '../../runtime/index.ts';
import type { NetworkConfiguration } from '../network/configuration.ts';
import { joinedNetwork } from '../network/joined.ts';

export type Weights = Readonly<Record<string, { shape: readonly number[]; data: Float32Array }>>;

/** Windows that go through the network at a time. */
const BATCH = 64;

export class Denoiser {
  readonly config: NetworkConfiguration;
  readonly #session: Session;
  readonly #feeds: Record<string, Float32Array>;

  private constructor(config: NetworkConfiguration, session: Session, feeds: Record<string, Float32Array>) {
    this.config = config;
    this.#session = session;
    this.#feeds = feeds;
  }

  /** @throws EngineError where weights are missing or have other shapes */
  static async create(
    config: NetworkConfiguration,
    weights: Weights,
    { device = 'cpu', threads }: { device?: Provider; threads?: number } = {},
  ): Promise<Denoiser> {
    const input = g.input('x', ['batch', config.leads + config.conditions, config.window]);
    const program = g.compile({ y: joinedNetwork(config, input) }, { name: 'denoiser', target: device });
    const session = await Session.create(program, {
      provider: device,
      spinning: false,
      ...(threads !== undefined && { threads }),
    });
    return new Denoiser(
      config,
      session,
      Object.fromEntries(Object.entries(weights).map(([name, { data }]) => [name, data])),
    );
  }

  /** @param x `count` inputs one after another @returns their outputs [count, leads, window] */
  async run(x: Float32Array, count: number): Promise<Float32Array> {
    const { leads, conditions, window } = this.config;
    const [given, returned] = [(leads + conditions) * window, leads * window];
    const out = new Float32Array(count * returned);
    for (let from = 0; from < count; from += BATCH) {
      const to = Math.min(count, from + BATCH);
      const data = x.subarray(from * given, to * given);
      const { y } = await this.#session.run({
        ...this.#feeds,
        x: { shape: [to - from, leads + conditions, window], data },
      });
      out.set(y!.data as Float32Array, from * returned);
    }
    return out;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}
