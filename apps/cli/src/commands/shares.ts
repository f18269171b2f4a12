import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, tell, withExamples } from '../options.ts';
import { Refused } from '../refused.ts';
import { titleOf } from '../transfer.ts';

interface Options extends Common {
  show?: string;
}

/** `lockstep shares` */
export const shares = withExamples(
  new Command('shares')
    .description('list what you accepted')
    .option('--show <id>', 'print one secret instead'),
  ['shares', 'shares --show yBzXkNqS0jVnYg3bJ8Xr0Q'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  const { sharing } = await Device.open(options);
  const accepted = await sharing.accepted();
  if (options.show !== undefined) {
    const body = accepted.find(({ id }) => id === options.show)?.body;
    if (body?.typ !== 'item') throw new Refused(`You accepted no secret ${options.show}.`);
    const lines = Object.entries(body.secret).map(([name, value]) => `${name}: ${value}`);
    tell(options, body, [body.title, ...lines].join('\n'));
    return;
  }
  const rows = accepted.map(({ id, from, body }) => ({
    ...{ id, kind: body.typ, title: titleOf(body), from },
    ...(body.typ === 'file' && { file: body.id, size: body.size }),
  }));
  const lines = rows.map(({ id, kind, title, from }) => `${id}  ${kind}  ${title}  from ${from}`);
  tell(options, rows, lines.length > 0 ? lines.join('\n') : 'Nothing accepted yet.');
});
