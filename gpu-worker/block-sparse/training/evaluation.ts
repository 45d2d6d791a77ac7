/** What trained values are worth on rows that they were not trained on. */
import * as g from '../../graph/index.ts';
import { Session } from '../../runtime/index.ts';
import type { Values } from '../methods/method.ts';
import { type MadeModel, type ModelSpec, modelOutput } from './model.ts';
import type { Samples } from './samples.ts';

/** Mean loss (cross-entropy in nats or squared error) and, for classes, the share of rows that are right. */
export type Score = { loss: number; accuracy: number | null };

/** Rows that are computed at a time; the last ones are padded. */
const ROWS = 500;

export class Evaluator {
  readonly #spec: ModelSpec;
  readonly #session: Session;

  private constructor(spec: ModelSpec, session: Session) {
    this.#spec = spec;
    this.#session = session;
  }

  static async create(spec: ModelSpec, model: MadeModel, threads: number): Promise<Evaluator> {
    const outputs = modelOutput(spec, g.input('x', [ROWS, spec.inputs]), model);
    const program = g.compile({ outputs }, { name: 'evaluation' });
    return new Evaluator(spec, await Session.create(program, { threads, spinning: false }));
  }

  /** Outputs of the model, [rows, outputs]. */
  async outputs(values: Values, { rows, width, x }: Samples): Promise<Float32Array> {
    const { outputs } = this.#spec.task;
    const all = new Float32Array(rows * outputs);
    const parameters = this.#session.program.inputs
      .filter(({ name }) => name !== 'x')
      .map(({ name }) => [name, values[name]!]);
    for (let from = 0; from < rows; from += ROWS) {
      const part = new Float32Array(ROWS * width);
      part.set(x.subarray(from * width, Math.min(from + ROWS, rows) * width));
      const { outputs: found } = await this.#session.run({
        ...Object.fromEntries(parameters),
        x: { shape: [ROWS, width], data: part },
      });
      const wanted = Math.min(ROWS, rows - from) * outputs;
      all.set((found!.data as Float32Array).subarray(0, wanted), from * outputs);
    }
    return all;
  }

  async score(values: Values, samples: Samples): Promise<Score> {
    const outputs = await this.outputs(values, samples);
    return this.#spec.task.kind === 'classes' ? classScore(outputs, samples.y) : valueScore(outputs, samples.y);
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

function classScore(outputs: Float32Array, classes: Float32Array): Score {
  const width = outputs.length / classes.length;
  let [loss, right] = [0, 0];
  classes.forEach((wanted, row) => {
    const logits = outputs.subarray(row * width, (row + 1) * width);
    const top = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const total = logits.reduce((sum, value) => sum + Math.exp(value - top), 0);
    loss += top + Math.log(total) - logits[wanted]!;
    right += Number(logits.indexOf(top) === wanted);
  });
  // JSON has no NaN; outputs that are none are as wrong as can be.
  const mean = loss / classes.length;
  return { loss: Number.isFinite(mean) ? mean : Number.MAX_VALUE, accuracy: right / classes.length };
}

const valueScore = (outputs: Float32Array, wanted: Float32Array): Score => ({
  loss: outputs.reduce((sum, value, i) => sum + (value - wanted[i]!) ** 2, 0) / outputs.length,
  accuracy: null,
});
