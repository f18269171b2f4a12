import { z } from 'zod';
import { type App, AppFields, Failure } from '#lib/protocol';
import { deletionTables, DeletionsService } from '../deletion/deletions.service.ts';
import { type OperatorTools, runOperatorProgram, table } from '../platform/operator-program.ts';
import { AppsService, OPERATOR } from './apps.service.ts';

/*
 * The operator's `lockstep apps …`, on the front's database. `show` and `list` print what RFC 7591
 * calls client metadata; a secret is printed once, by what made it.
 */
const id = z.string().min(1).max(64);
/** Address or uid; empty: the operator. */
const owner = z.string().max(320).optional();
const Task = z.intersection(
  z.object({ json: z.boolean().default(false) }),
  z.discriminatedUnion('action', [
    z.object({ action: z.literal('list'), owner }),
    z.object({ action: z.literal('show'), id }),
    z.object({
      ...{ action: z.literal('register'), fields: z.record(z.string(), z.unknown()), owner },
      id: id.optional(),
      reuse: z.boolean().default(false),
    }),
    z.object({
      ...{ action: z.literal('update'), id, fields: z.record(z.string(), z.unknown()), owner },
    }),
    z.object({ action: z.literal('rotate-secret'), id, now: z.boolean().default(false) }),
    z.object({ action: z.literal('remove'), id }),
  ]),
);
type Tools = OperatorTools<z.infer<typeof Task>>;

/** What the command calls what RFC 7591 has a name for. */
const optionByField: Record<keyof AppFields | 'client_id', string> = {
  client_id: '--id',
  client_name: '--name',
  application_type: '--type',
  redirect_uris: '--redirect-uri',
  grant_types: '--device, --no-code',
  scope: '--scope',
  token_endpoint_auth_method: '--secret',
  client_uri: '--homepage',
  policy_uri: '--policy',
  tos_uri: '--terms',
  contacts: '--contact',
  resources: '--resource',
  backchannel_logout_uri: '--logout-uri',
  backchannel_logout_session_required: '--logout-session',
};

const flat = ({
  app,
  client_secret: secret,
}: {
  app: App;
  client_secret?: string | undefined;
}) => ({
  ...app,
  ...(secret !== undefined && { client_secret: secret }),
});

const whose = ({ built_in: isBuiltIn, owner }: App) =>
  isBuiltIn ? 'comes with the server' : owner ? (owner.email ?? owner.uid) : 'the operator';

const columns = (app: App) => [
  app.client_id,
  app.client_name,
  app.application_type,
  `${app.users} people`,
  whose(app),
  app.resources?.join(' ') ?? '',
];

function linesOf(app: App): string[] {
  const said = { ...app, owner: whose(app) };
  return Object.entries(said).map(
    ([name, value]) =>
      `${name.padEnd(28)} ${Array.isArray(value) ? value.join(' ') : String(value)}`,
  );
}

const secretLines = (secret: string | undefined): string[] =>
  secret === undefined
    ? []
    : [
        `${'client_secret'.padEnd(28)} ${secret}`,
        'It is shown this once: the server keeps a hash of it.',
      ];

await runOperatorProgram(process.env, Task, { entities: deletionTables }, async (tools) => {
  try {
    await run(tools);
  } catch (error) {
    throw error instanceof Failure ? new Failure(error.code, inOptions(error.message)) : error;
  }
});

/** A refusal that begins with a field, or one value of it, is one of the option that gave it. */
function inOptions(message: string): string {
  const field = /^(\w+)(?:\.\d+)?: /.exec(message);
  const option = new Map(Object.entries(optionByField)).get(field?.[1] ?? '');
  return field && option !== undefined ? `${option}: ${message.slice(field[0].length)}` : message;
}

async function run({ task, db, clock, config, say }: Tools): Promise<void> {
  const apps = new AppsService(db, new DeletionsService(db, clock), clock, config);
  switch (task.action) {
    case 'list': {
      const all = await apps.list(OPERATOR);
      const uid = task.owner === undefined ? undefined : await uidOf(db, task.owner);
      const rows = all.filter((app) => uid === undefined || (app.owner?.uid ?? null) === uid);
      say(rows, table(rows.map(columns), 'There is no such app.'));
      return;
    }
    case 'show': {
      const app = await apps.show(OPERATOR, task.id);
      say(app, linesOf(app));
      return;
    }
    case 'register': {
      const by = task.owner === undefined ? null : await uidOf(db, task.owner);
      const fields = fieldsOf(task.fields);
      const made = await apps.register(OPERATOR, fields, { ...task, owner: by });
      say(flat(made), [...linesOf(made.app), ...secretLines(made.client_secret)]);
      return;
    }
    case 'update': {
      const by = task.owner === undefined ? undefined : await uidOf(db, task.owner);
      const before = await apps.show(OPERATOR, task.id);
      const known = Object.entries(before).filter(([name]) => name in AppFields.shape);
      const fields = fieldsOf({ ...Object.fromEntries(known), ...task.fields });
      const changed = await apps.update(OPERATOR, task.id, fields, by);
      say(flat(changed), [...linesOf(changed.app), ...secretLines(changed.client_secret)]);
      return;
    }
    case 'rotate-secret': {
      const { client_secret: secret } = await apps.rotateSecret(OPERATOR, task.id, task.now);
      say({ client_id: task.id, client_secret: secret }, [
        ...secretLines(secret),
        task.now ? 'The one before has ended.' : 'The one before is good for a day more.',
      ]);
      return;
    }
    case 'remove': {
      const users = await apps.remove(OPERATOR, task.id);
      say({ client_id: task.id, users }, [
        `${task.id} is removed, and what ${users} people granted it has ended. What they stored in it is kept.`,
      ]);
      return;
    }
  }
}

/** What a command left out is as if it had not been said; an empty text takes a link or a list away. */
function fieldsOf(said: Record<string, unknown>): AppFields {
  const given = Object.entries(said).filter(([, value]) => value !== undefined && value !== '');
  const { data, error } = AppFields.safeParse(Object.fromEntries(given));
  if (data) return data;
  const [issue] = error.issues;
  throw new Failure('invalid-parameter', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

async function uidOf(db: Tools['db'], who: string): Promise<string | null> {
  if (who === '') return null;
  const [account] = await db.query<{ uid: string }[]>(
    `SELECT uid FROM account WHERE uid = $1 OR normal_email = $2`,
    [who, who.toLowerCase()],
  );
  if (!account) throw new Failure('not-found', `There is no account ${who}.`);
  return account.uid;
}
