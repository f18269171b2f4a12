import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import type { FileReference, Files } from '#lib/client';
import { type GlobalOptions, print } from '../output.ts';
import { Profile } from '../profile.ts';
import { progress } from '../progress.ts';

const MIME = 'application/octet-stream';

/** Encrypts and uploads a file of this machine, with a progress bar. */
export async function uploadFile(files: Files, path: string): Promise<FileReference> {
  const { size } = await stat(path);
  const bar = progress('Encrypting and uploading', size);
  const source = createReadStream(path, { highWaterMark: 1_048_576 }) as AsyncIterable<Uint8Array>;
  const reference = await files.upload(source, {
    ...{ name: basename(path), mime: MIME, size },
    onProgress: (bytes) => {
      bar.advance(bytes);
    },
  });
  bar.done();
  return reference;
}

/** Downloads into a file beside the target, which appears only when everything was checked. */
export async function downloadFile(
  files: Files,
  file: FileReference,
  target: string,
): Promise<void> {
  const bar = progress('Downloading and decrypting', file.size);
  const partial = `${target}.partial`;
  const output = await open(partial, 'w', 0o600);
  try {
    const plain = files.download(file, {
      onProgress: (bytes) => {
        bar.advance(bytes);
      },
    });
    for await (const chunk of plain) await output.writeFile(chunk);
    await output.sync();
    await output.close();
  } catch (error) {
    await output.close();
    await rm(partial, { force: true });
    throw error;
  }
  await rename(partial, target);
  bar.done();
}

const describe = ({ id, name, size, sha256 }: FileReference) => ({ id, name, size, sha256 });

/** `lockstep put`, `ls`, `get`, `rm` */
export function filesCommands(program: Command): void {
  program
    .command('put <file>')
    .description('encrypt a file and store it')
    .addHelpText('after', '\nExample:\n  $ lockstep put holiday.jpg')
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { files } = await new Profile(options.profile).open();
      const reference = await uploadFile(files, path);
      print(options, describe(reference), ({ id, name }) => `${name} is stored as ${id}`);
    });

  program
    .command('ls')
    .description('your files')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { files } = await new Profile(options.profile).open();
      const list = (await files.list()).map(describe);
      print(options, { files: list }, () =>
        list.map(({ id, name, size }) => `${id}  ${String(size).padStart(12)}  ${name}`).join('\n'),
      );
    });

  program
    .command('get <id> <output>')
    .description('download and decrypt a file of yours, or one that you accepted')
    .action(async (id: string, output: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { files, sharing } = await new Profile(options.profile).open();
      const reference = (await files.find(id)) ?? (await acceptedFile(sharing, id));
      if (!reference) throw new Error(`There is no file ${id}. Try: lockstep ls`);
      await downloadFile(files, reference, output);
      print(options, { ...describe(reference), output }, ({ name }) => `${name} is in ${output}`);
    });

  program
    .command('rm <id>')
    .description('delete a file of yours from the server, for everybody')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { files } = await new Profile(options.profile).open();
      const reference = await files.find(id);
      if (!reference) throw new Error(`There is no file ${id}. Try: lockstep ls`);
      await files.delete(reference);
      print(options, { deleted: id }, () => `${reference.name} is deleted.`);
    });
}

async function acceptedFile(
  sharing: { accepted(): Promise<{ id: string; body: { typ: string } }[]> },
  id: string,
): Promise<FileReference | undefined> {
  for (const { id: share, body } of await sharing.accepted()) {
    if (body.typ === 'file' && (share === id || (body as FileReference).id === id)) {
      return body as FileReference;
    }
  }
  return undefined;
}
