/**
 * Multiply-adds of an ONNX program, counted apart from the product's formulas: the runtime executes it as emitted
 * (optimisation off) and tells the operand shapes of every node, those inside control flow once for each time they ran.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import type { Program } from '../../gpu-worker/graph/index.ts';

const eventsSchema = z.array(
  z.looseObject({
    cat: z.string(),
    name: z.string(),
    args: z
      .looseObject({
        op_name: z.string().optional(),
        input_type_shape: z.array(z.record(z.string(), z.array(z.number()))).optional(),
        output_type_shape: z.array(z.record(z.string(), z.array(z.number()))).optional(),
      })
      .optional(),
  }),
);
const size = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** Counts products of matrices and convolutions over all nodes that ran. Float inputs are fed zeros, integers 0. */
export async function executedMacs(program: Program): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'macs-'));
  try {
    const session = await InferenceSession.create(program.bytes, {
      graphOptimizationLevel: 'disabled',
      enableProfiling: true,
      profileFilePrefix: join(folder, 'run'),
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    const feeds = program.inputs.map(({ name, dtype, shape }) => {
      const dims = shape as number[];
      if (dtype === 'int64') {
        return [name, new Tensor('int64', new BigInt64Array(size(dims)), dims)] as const;
      }
      return [name, new Tensor('float32', new Float32Array(size(dims)), dims)] as const;
    });
    await session.run(Object.fromEntries(feeds));
    session.endProfiling();
    await session.release();
    const [file] = readdirSync(folder);
    const events = eventsSchema.parse(JSON.parse(readFileSync(join(folder, file!), 'utf8')));
    return events
      .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
      .reduce(
        (sum, { args }) =>
          sum + nodeMacs(args?.op_name ?? '', shapes(args?.input_type_shape), shapes(args?.output_type_shape)),
        0,
      );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const shapes = (given: readonly Readonly<Record<string, number[]>>[] = []): number[][] =>
  given.map((entry) => Object.values(entry)[0]!);

function nodeMacs(operator: string, inputs: readonly number[][], [output = []]: readonly number[][]): number {
  switch (operator) {
    case 'MatMul':
    case 'FusedMatMul':
    case 'Gemm': {
      // Elements of the first operand are rows x inner (in either order) of each of its matrices.
      const rows = output.at(-2)!;
      // The engine writes sums, as of a bias's gradient or in a norm, as products with a row or column of ones.
      if (rows === 1 || output.at(-1) === 1) {
        return 0;
      }
      const matrix = inputs[0]!.slice(-2);
      return size(output) * (size(matrix) / rows);
    }
    case 'Conv':
      return size(output) * size(inputs[1]!.slice(1));
    default:
      return 0;
  }
}
