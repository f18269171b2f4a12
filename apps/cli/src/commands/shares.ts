import { Command } from 'commander';
import { Device } from '../device.ts';
import { called } from '../names.ts';
import { type Common, linesOf, reasonsOf, tell, withExamples } from '../options.ts';
import { Refused } from '../refused.ts';
import { secretLines, titleOf } from '../transfer.ts';

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
  const device = await Device.open(options);
  const { shares: accepted, refused } = await device.sharing.accepted();
  if (options.show !== undefined) {
    const body = accepted.find(({ id }) => id === options.show)?.body;
    if (body?.typ !== 'item') throw new Refused(`You accepted no secret ${options.show}.`);
    tell(options, body, secretLines(body));
    return;
  }
  const names = await device.names();
  const rows = accepted.map(({ id, from, body }) => ({
    ...{ id, kind: body.typ, title: titleOf(body), from, name: names.get(from) },
    ...(body.typ === 'file' && { file: body.id, size: body.size }),
  }));
  const lines = rows.map(
    ({ id, kind, title, from }) => `${id}  ${kind}  from ${called(names, from)}  ${title}`,
  );
  lines.push(...linesOf(refused));
  const value = [...rows, ...reasonsOf(refused)];
  tell(options, value, lines.length > 0 ? lines : 'Nothing accepted yet.');
});
