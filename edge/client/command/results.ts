/** `vectors`, `saes`, `reports`, `artefacts`, `ecg`: what jobs made. */
import type { Command } from 'commander';
import { ApiError } from '../index.ts';
import { type Context, whole } from './context.ts';
import { downloadTo, writeTo } from './download-file.ts';
import { CommandError } from './exit-status.ts';
import { first } from './jobs.ts';
import { readJson, uploadFile } from './params.ts';

type Format = 'raw' | 'json' | 'safetensors' | 'npy';

export function addResults(program: Command, context: Context): void {
  const { output, signal } = context;
  const vectors = program.command('vectors').description('steering vectors and their names');
  vectors
    .command('get <id-or-name>')
    .description("a vector's description; with --output its values")
    .option('--output <file>', 'write the values there')
    .option('--format <format>', 'raw, json, safetensors or npy', 'raw')
    .option('--dtype <dtype>', 'float32 or float16', 'float32')
    .action(async (given: string, flags: { output?: string; format: Format; dtype: 'float32' | 'float16' }) => {
      const client = context.client();
      const id = /^vec_[a-z2-7]{52}$/.test(given) ? given : (await client.vectorNames.get(given, { signal })).id;
      if (flags.output === undefined) {
        output.one(await client.vectors.get(id, { signal }));
        return;
      }
      const answer = await client.vectors.file(id, { format: flags.format, dtype: flags.dtype, signal });
      writeTo(flags.output, new Uint8Array(await answer.arrayBuffer()));
      output.one({ id, file: flags.output });
    });
  vectors
    .command('publish <name> <id>')
    .description('point a name at a vector, whatever it pointed at before')
    .action(async (name: string, id: string) => {
      const client = context.client();
      const before = await client.vectorNames.get(name, { signal }).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404) {
          return null;
        }
        throw error;
      });
      const change = before ? { ifMatch: before.version } : { create: true };
      output.one(await client.vectorNames.set(name, id, { ...change, signal }));
    });

  program
    .command('saes')
    .description('sparse autoencoders')
    .command('latents <id>')
    .description('the latents of an SAE')
    .option('--sort <by>', 'latent, density, minority_share or magnitude', 'latent')
    .option('--limit <n>', 'how many at most', whole, 50)
    .action(async (id: string, { sort, limit }: { sort: 'density'; limit: number }) => {
      const pages = context.client().saes.latents(id, { sort, limit: Math.min(100, Math.max(1, limit)), signal });
      await output.list(first(pages, limit), ['latent', 'positive', 'negative', 'maximum', 'minimum']);
    });

  program
    .command('reports')
    .description('typed results with their measures')
    .command('get <id>')
    .description('read a report')
    .action(async (id: string) => output.one(await context.client().reports.get(id, { signal })));

  const artefacts = program.command('artefacts').description("the tenant's bytes");
  artefacts
    .command('upload <file>')
    .description('upload a file, with its digest; one above 256 MiB in parts')
    .action(async (file: string) => {
      const told = (text: string) => output.note(text);
      for (const part of await uploadFile(context.client(), file, { signal, told, several: true })) {
        output.one(part);
      }
    });
  artefacts
    .command('download <id> <file>')
    .description('download to a file; begun again, it goes on where it broke off')
    .action(async (id: string, file: string) => output.one(await downloadTo(context.client(), id, file, signal)));

  program
    .command('ecg')
    .description('electrocardiograms')
    .command('denoise <file>')
    .description('clean a short recording (JSON as POST /v1/ecg/denoisings takes it)')
    .action(async (file: string) => {
      const client = context.client();
      const record = readJson(file) as never;
      const { inlineRecordSchema } = await import('../../../shared/contracts/ecg-record.ts');
      const found = inlineRecordSchema.safeParse(record);
      if (!found.success) {
        const issues = found.error.issues.map(({ path, message }) => `\n  ${path.join('.')}: ${message}`);
        throw new CommandError('usage', `${file} is no recording:${issues.join('')}`);
      }
      const job = await client.ecg.denoise(record, { waitS: 60, signal });
      output.one(await client.jobs.wait(job.id, { signal }));
    });
}
