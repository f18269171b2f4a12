import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, linesOf, reasonsOf, tell, withExamples } from '../options.ts';
import { Refused } from '../refused.ts';
import { titleOf } from '../transfer.ts';

/** `lockstep accept [ID…]` */
export const accept = withExamples(
  new Command('accept')
    .description('keep what was shared; then `lockstep get` opens it')
    .argument('[ids...]', 'which of the inbox; all when left out'),
  ['accept', 'accept yBzXkNqS0jVnYg3bJ8Xr0Q'],
).action(async (ids: string[], _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const { sharing } = device;
  const { items, refused } = await sharing.inbox();
  for (const id of ids) {
    const reason = refused.find((item) => item.id === id)?.error;
    if (reason) throw reason;
    if (!items.some((item) => item.id === id)) throw new Refused(`The inbox has no ${id}.`);
  }
  const wanted = items.filter(({ id }) => ids.length === 0 || ids.includes(id));
  for (const item of wanted) await sharing.accept(item);
  const shown = wanted.map(({ id, body }) => ({ id, kind: body.typ, title: titleOf(body) }));
  const lines = shown.map(({ id, title }) => `${id}  ${title}`);
  const others = ids.length === 0 ? refused : [];
  lines.push(...linesOf(others, await device.names()));
  tell(options, [...shown, ...reasonsOf(others)], lines.length > 0 ? lines : 'Nothing new.');
});
