import { Command, Option } from 'commander';
import { DEVICE_GRANT } from '#lib/protocol';
import { addDataOption, runAppsTask } from '../operator.ts';
import { withExamples } from '../options.ts';
import { Refused } from '../refused.ts';

const ID = 'client_id of the app';

/** What may be said of an app; what is left out is the default, or stays as it is. */
interface Said {
  name?: string;
  type?: string;
  redirectUri?: string[];
  scope?: string;
  device?: boolean;
  code?: boolean;
  secret?: 'none' | 'basic' | 'post';
  homepage?: string;
  policy?: string;
  terms?: string;
  contact?: string[];
  resource?: string[];
  logoutUri?: string;
  logoutSession?: boolean;
  owner?: string;
}

const addSaid = (command: Command): Command =>
  addDataOption(command)
    .addOption(new Option('--type <type>', 'web or native').choices(['web', 'native']))
    .option('--redirect-uri <uris...>', 'exact addresses that codes are sent to')
    .option('--scope <scopes>', 'all that it may ask for, in one word with spaces')
    .option('--device', 'it may use the device grant')
    .option('--no-code', 'it may not use the code grant; with --device')
    .addOption(
      new Option('--secret <method>', 'how it shows its secret; none: it has none').choices([
        'none',
        'basic',
        'post',
      ]),
    )
    .option('--homepage <url>', 'its page')
    .option('--policy <url>', 'its privacy policy')
    .option('--terms <url>', 'its terms of service')
    .option('--contact <addresses...>', 'mail addresses, for the operator')
    .option('--resource <uris...>', 'APIs of its own, which it may ask tokens for')
    .option('--logout-uri <url>', 'is told when somebody signs out (back-channel)')
    .option('--logout-session', 'is told of which session, too')
    .option('--owner <who>', 'the developer, by address or uid; "" for the operator');

const register = withExamples(
  addSaid(
    new Command('register')
      .description('register an app; prints its client_id, and its secret once')
      .requiredOption('--name <name>', 'what people are shown')
      .option('--id <id>', 'a client_id of your choice (default: a random one)')
      .option('--reuse', 'also the id of an app that was removed: it gets the data of its users'),
  ),
  [
    'apps register --name Notes --redirect-uri https://notes.example.org/callback --scope "openid profile app_key storage"',
    'apps register --name "Notes for the desk" --type native --redirect-uri http://127.0.0.1/callback',
    'apps register --name "TV" --type native --device --no-code',
  ],
).action((said: Said & { id?: string; reuse?: true }, command: Command) =>
  runAppsTask(command, {
    ...{ action: 'register', fields: fieldsOf(said, command), owner: said.owner, id: said.id },
    reuse: said.reuse === true,
  }),
);

const list = addDataOption(
  new Command('list')
    .description('the apps, with how many people let them in, and their APIs')
    .option('--owner <who>', 'of one developer; "" for the operator’s'),
).action(({ owner }: { owner?: string }, command: Command) =>
  runAppsTask(command, { action: 'list', owner }),
);

const show = addDataOption(new Command('show').description('one app').argument('<id>', ID)).action(
  (id: string, _options, command: Command) => runAppsTask(command, { action: 'show', id }),
);

const update = withExamples(
  addSaid(
    new Command('update')
      .description('change an app; what is left out stays, "" takes away')
      .argument('<id>', ID)
      .option('--name <name>', 'what people are shown'),
  ),
  ['apps update notes --redirect-uri https://notes.example.org/callback'],
).action((id: string, said: Said, command: Command) => {
  const fields = fieldsOf(said, command);
  const { owner } = said;
  if (owner === undefined && Object.values(fields).every((value) => value === undefined)) {
    throw new Refused('There is nothing to change: see lockstep apps update --help', 2);
  }
  return runAppsTask(command, { action: 'update', id, fields, owner });
});

const rotateSecret = addDataOption(
  new Command('rotate-secret')
    .description('make a new secret and print it once; the one before is good for a day more')
    .argument('<id>', ID)
    .option('--now', 'the one before ends at once'),
).action((id: string, { now }: { now?: true }, command: Command) =>
  runAppsTask(command, { action: 'rotate-secret', id, now: now === true }),
);

const remove = addDataOption(
  new Command('remove')
    .description('remove an app, and end what was granted to it; what people stored in it is kept')
    .argument('<id>', ID)
    .option('--yes', 'it is meant'),
).action((id: string, { yes }: { yes?: true }, command: Command) => {
  if (yes !== true) throw new Refused('Say --yes to remove the app and sign out its users.', 2);
  return runAppsTask(command, { action: 'remove', id });
});

/** `lockstep apps register|list|show|update|rotate-secret|remove`, for the operator */
export const apps = withExamples(
  new Command('apps').description(
    'apps that may ask people for access; for the operator, on the machine of the front',
  ),
  ['apps list', 'apps show notes', 'apps rotate-secret notes --now', 'apps remove notes --yes'],
);
for (const command of [register, list, show, update, rotateSecret, remove]) {
  apps.addCommand(command);
}

/** In the words of RFC 7591, and only what was said. */
function fieldsOf(said: Said, command: Command): Record<string, unknown> {
  const saysGrants = said.device !== undefined || command.getOptionValueSource('code') === 'cli';
  const grants = [
    ...(said.code === false ? [] : ['authorization_code']),
    'refresh_token',
    ...(said.device === true ? [DEVICE_GRANT] : []),
  ];
  return {
    client_name: said.name,
    application_type: said.type,
    redirect_uris: listed(said.redirectUri),
    scope: said.scope,
    ...(saysGrants && { grant_types: grants }),
    token_endpoint_auth_method:
      said.secret === undefined || said.secret === 'none'
        ? said.secret
        : `client_secret_${said.secret}`,
    client_uri: said.homepage,
    policy_uri: said.policy,
    tos_uri: said.terms,
    contacts: listed(said.contact),
    resources: listed(said.resource),
    backchannel_logout_uri: said.logoutUri,
    backchannel_logout_session_required: said.logoutSession,
  };
}

/** An empty text takes the whole list away. */
const listed = (said: string[] | undefined) => (said?.every((one) => one === '') ? '' : said);
