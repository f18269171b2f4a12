import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { titleOf } from '../transfer.ts';

/** `lockstep inbox` */
export const inbox = withExamples(
  new Command('inbox').description('list what others shared with you, and what was refused'),
  ['inbox', 'inbox --json'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const { sharing } = await Device.open(options);
  const { items, refused } = await sharing.inbox();
  const shown = items.map(({ id, from, body, sentAt }) => ({
    ...{ id, kind: body.typ, title: titleOf(body), from: from.uid },
    ...{ isNewContact: from.isNew, sentAt: new Date(sentAt * 1000).toISOString() },
  }));
  const errors = refused.map(({ id, error }) => ({ id, code: error.code, reason: error.message }));
  const lines = [
    ...shown.map(({ id, kind, title, from }) => `${id}  ${kind.padEnd(5)} ${title}  from ${from}`),
    ...errors.map(({ id, reason }) => `${id}  REFUSED  ${reason}`),
  ];
  tell(
    options,
    { items: shown, refused: errors },
    lines.length > 0 ? lines.join('\n') : 'Nothing new.',
  );
});
