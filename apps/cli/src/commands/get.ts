import { Command } from 'commander';
import type { ShareBody } from '#lib/protocol';
import { Device } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { Refused } from '../refused.ts';
import { download, secretLines } from '../transfer.ts';

/** `lockstep get ID [OUT]` */
export const get = withExamples(
  new Command('get')
    .description(
      'fetch and decrypt a file of yours or one that was shared, or show a shared password',
    )
    .argument('<id>', 'of a file, or of a share that you accepted')
    .argument('[out]', 'where to write a file; its own name when left out'),
  ['get yBzXkNqS0jVnYg3bJ8Xr0Q holiday.jpg', 'get yBzXkNqS0jVnYg3bJ8Xr0Q --json'],
).action(async (id: string, out: string | undefined, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const body = await find(device, id);
  if (!body) throw new Refused(`There is no file or share ${id}.`);
  if (body.typ === 'item') {
    if (out !== undefined) throw new Refused('A password is shown, not written to a file.', 2);
    tell(options, body, secretLines(body));
    return;
  }
  const path = await download(device, body, out);
  const { size, sha256 } = body;
  tell(options, { path, size, sha256 }, `${path}  ${size} bytes, SHA-256 as it was stored`);
});

async function find({ files, sharing }: Device, id: string): Promise<ShareBody | undefined> {
  const own = await files.find(id);
  if (own) return own;
  const { shares, refused } = await sharing.accepted();
  const spoiled = refused.find((record) => record.id === id);
  if (spoiled) throw spoiled.error;
  const share = shares.find((one) => one.id === id);
  if (share) return share.body;
  // A sender chooses which file id he names: where two name the same, the id of the share decides.
  const bodies = shares.flatMap(({ body }) =>
    body.typ === 'file' && body.id === id ? [body] : [],
  );
  if (bodies.length > 1) {
    throw new Refused(`Several shares name the file ${id}; give the id of a share.`);
  }
  return bodies[0];
}
