import { Command } from 'commander';
import { IntegrityError } from '#lib/client';
import { Device } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';

/** `lockstep whoami` */
export const whoami = withExamples(
  new Command('whoami').description('show who is signed in, and where'),
  ['whoami', 'whoami --json'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const { app, email, keys } = await Device.open(options);
  // Who is signed in is so whatever the server shows of the keys.
  const [own, fault] = await keys.own().then(
    (state) => [state, undefined] as const,
    (error: unknown) => {
      if (!(error instanceof IntegrityError)) throw error;
      return [undefined, error] as const;
    },
  );
  const { uid, clientId, server } = app;
  const facts = {
    email,
    uid,
    app: clientId,
    server: server.url,
    realm: server.realm,
    ...(own && { identity: own.identity.kid }),
  };
  const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(9)} ${value}`);
  tell(options, facts, lines);
  if (fault) throw fault;
});
