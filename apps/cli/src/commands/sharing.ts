import type { Command } from 'commander';
import type { Contact } from '#lib/client';
import type { ShareBody } from '#lib/protocol';
import { type GlobalOptions, print } from '../output.ts';
import { readPassword } from '../password.ts';
import { Profile, type SignedIn } from '../profile.ts';
import { uploadFile } from './files.ts';

interface ToOptions extends GlobalOptions {
  to: string[];
}

interface PasswordOptions extends ToOptions {
  username?: string;
  secretFile?: string;
}

/** @throws Error that names who is not found */
async function people({ keys }: SignedIn, addresses: string[]): Promise<Contact[]> {
  const found = await keys.discover(addresses);
  const missing = addresses.filter((address) => !found.has(address));
  if (missing.length > 0) throw new Error(`Not found in this app: ${missing.join(', ')}`);
  return [...new Map([...found.values()].map((contact) => [contact.uid, contact])).values()];
}

const summary = (body: ShareBody) =>
  body.typ === 'file' ? `file ${body.name} (${String(body.size)} bytes)` : `secret ${body.title}`;

/** `lockstep share`, `share-password`, `inbox`, `accept`, `shares` */
export function sharingCommands(program: Command): void {
  program
    .command('share <file>')
    .description('share a stored file (by its id), or upload one and share it')
    .requiredOption('--to <address...>', 'who receives it')
    .addHelpText(
      'after',
      '\nExample:\n  $ lockstep share holiday.jpg --to bob@example.org carol@example.org',
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ToOptions>();
      const signedIn = await new Profile(options.profile).open();
      const recipients = await people(signedIn, options.to);
      const stored = /^[A-Za-z0-9_-]{22}$/.test(file) ? await signedIn.files.find(file) : undefined;
      const reference = stored ?? (await uploadFile(signedIn.files, file));
      const share = await signedIn.sharing.shareFile(reference, recipients);
      print(
        options,
        { share, file: reference.id, to: options.to },
        () => `${reference.name} is shared with ${options.to.join(', ')}.`,
      );
    });

  program
    .command('share-password <title>')
    .description('send a password; it is asked for, or read from --secret-file')
    .requiredOption('--to <address...>', 'who receives it')
    .option('--username <name>', 'the user name that goes with it')
    .option('--secret-file <path>', 'read the password to share from a file')
    .action(async (title: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<PasswordOptions>();
      const signedIn = await new Profile(options.profile).open();
      const recipients = await people(signedIn, options.to);
      const password = await readPassword(
        { passwordFile: options.secretFile },
        'Password to share: ',
      );
      const secret = {
        password,
        ...(options.username !== undefined && { username: options.username }),
      };
      const share = await signedIn.sharing.share({ typ: 'item', title, secret }, recipients);
      print(
        options,
        { share, to: options.to },
        () => `${title} is sent to ${options.to.join(', ')}.`,
      );
    });

  program
    .command('inbox')
    .description('what others sent, checked; nothing that fails a check is shown')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { sharing } = await new Profile(options.profile).open();
      const { items, refused } = await sharing.inbox();
      const result = {
        items: items.map(({ id, from, body }) => ({ id, from: from.uid, what: summary(body) })),
        refused: refused.map(({ id, error }) => ({ id, error: error.code })),
      };
      print(options, result, () =>
        [
          ...result.items.map(({ id, from, what }) => `${id}  ${what}, from ${from}`),
          ...result.refused.map(({ id, error }) => `${id}  refused: ${error}`),
          ...(items.length > 0 ? ['To keep one: lockstep accept <id>'] : []),
        ].join('\n'),
      );
    });

  program
    .command('accept <id>')
    .description('keep something from the inbox as your own record')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { sharing } = await new Profile(options.profile).open();
      const { items, refused } = await sharing.inbox();
      const item = items.find((one) => one.id === id);
      const refusal = refused.find((one) => one.id === id);
      if (refusal) throw refusal.error;
      if (!item) throw new Error(`There is nothing of the id ${id} in the inbox.`);
      await sharing.accept(item);
      print(options, { accepted: id, what: summary(item.body) }, ({ what }) =>
        item.body.typ === 'file'
          ? `Accepted: ${what}. To download it: lockstep get ${id} <output>`
          : `Accepted: ${what}. To see it: lockstep shares --show ${id}`,
      );
    });

  program
    .command('shares')
    .description('what you accepted')
    .option('--show <id>', 'print one secret')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { show?: string }>();
      const { sharing } = await new Profile(options.profile).open();
      const accepted = await sharing.accepted();
      const shown = accepted.find(({ id }) => id === options.show);
      if (options.show !== undefined && !shown)
        throw new Error(`Nothing was accepted as ${options.show}.`);
      if (shown?.body.typ === 'item') {
        const { title, secret } = shown.body;
        print(options, { title, secret }, () =>
          Object.entries(secret)
            .map(([name, value]) => `${name}: ${value}`)
            .join('\n'),
        );
        return;
      }
      const list = accepted.map(({ id, from, body }) => ({ id, from, what: summary(body) }));
      print(options, { shares: list }, () =>
        list.map(({ id, from, what }) => `${id}  ${what}, from ${from}`).join('\n'),
      );
    });
}
