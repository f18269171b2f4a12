import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';

/** `lockstep whoami` */
export const whoami = withExamples(
  new Command('whoami').description('show who is signed in, and where'),
  ['whoami', 'whoami --json'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const { app, email, keys } = await Device.open(options);
  const { identity } = await keys.own();
  const { uid, clientId, server } = app;
  const facts = {
    email,
    uid,
    app: clientId,
    server: server.url,
    realm: server.realm,
    identity: identity.kid,
  };
  const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(9)} ${value}`);
  tell(options, facts, lines);
});
