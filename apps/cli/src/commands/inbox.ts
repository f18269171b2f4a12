import { Command } from 'commander';
import { Device } from '../device.ts';
import { called } from '../names.ts';
import { type Common, linesOf, reasonsOf, tell, withExamples } from '../options.ts';
import { titleOf } from '../transfer.ts';

/** `lockstep inbox` */
export const inbox = withExamples(
  new Command('inbox').description('list what others shared with you, and what was refused'),
  ['inbox', 'inbox --json'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const { items, refused } = await device.sharing.inbox();
  const names = await device.names();
  const shown = items.map(({ id, from, body, sentAt }) => ({
    ...{ id, kind: body.typ, title: titleOf(body), from: from.uid, name: names.get(from.uid) },
    ...{ isNewContact: from.isNew, sentAt: new Date(sentAt * 1000).toISOString() },
  }));
  // What the sender chose stands last, where it cannot push anything else out of sight.
  const lines = shown.map(({ id, kind, title, from, isNewContact }) => {
    const contact = isNewContact ? `${from} (first contact)` : called(names, from);
    return `${id}  ${kind.padEnd(4)}  from ${contact}  ${title}`;
  });
  lines.push(...linesOf(refused, names));
  const value = { items: shown, refused: reasonsOf(refused) };
  tell(options, value, lines.length > 0 ? lines : 'Nothing new.');
});
