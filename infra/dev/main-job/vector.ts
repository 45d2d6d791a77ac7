/** The last steps of the main job: name a vector, look it up, and steer the model with it both ways. */
import type { Sextant } from '../../../edge/client/index.ts';
import lmEvaluate from '../../../shared/jobs/lm.evaluate.ts';
import { percent, table } from '../table.ts';
import { step } from './step.ts';

type Steering = {
  model: Record<string, unknown>;
  vector: string;
  name: string;
  strength: number;
  positive: { label: string; tokens: string[] };
  negative: { label: string; tokens: string[] };
  prompts: string[];
};

/** Points the name at the vector, whatever it pointed at before. */
async function publishName(client: Sextant, name: string, id: string): Promise<void> {
  const { data } = await client.vectorNames.list();
  const before = data.find((entry) => entry.name === name);
  if (before?.id === id) {
    return;
  }
  await client.vectorNames.set(name, id, before ? { ifMatch: before.version } : {});
}

/** Returns the lines to print. */
export async function steerAndLookUp(client: Sextant, steering: Steering): Promise<string> {
  const { model, vector, name, strength, positive, negative, prompts } = steering;
  await publishName(client, name, vector);
  const { id } = await client.vectorNames.get(name);
  if (id !== vector) {
    throw new Error(`the name '${name}' points at ${id}, not at ${vector}`);
  }
  const tiers: string[] = [];
  let bytes = 0;
  for (let i = 0; i < 2; i++) {
    const answer = await client.vectors.file(vector, { format: 'raw', dtype: 'float32' });
    bytes = (await answer.arrayBuffer()).byteLength;
    tiers.push(answer.headers.get('server-timing') ?? '');
  }
  const runs = [
    { label: `${-strength}`, vectors: [{ vector, strength: -strength }] },
    { label: '0 (plain)', vectors: [] },
    { label: `+${strength}`, vectors: [{ vector, strength }] },
  ];
  // The first run is what the others are compared with.
  const result = await step(
    client,
    lmEvaluate,
    { model, prompts, targets: [positive, negative], runs: [runs[1]!, runs[0]!, runs[2]!] },
    ({ runs }) => `${runs.length} runs`,
  );
  const rows = runs.map(({ label }) => {
    const run = result.runs.find((one) => one.label === label)!;
    return [label, percent(run.targets[positive.label]!), percent(run.targets[negative.label]!), run.kl!.toFixed(3)];
  });
  return [
    '',
    `Vector '${name}' = ${vector}`,
    `  ${bytes} bytes by id: first ${tiers[0]}; then ${tiers[1]}`,
    '',
    `Steering with it: probability that the next word is ...`,
    table(['strength', positive.label, negative.label, 'KL (nats)'], rows),
  ].join('\n');
}
