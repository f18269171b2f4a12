import { z } from 'zod';
import { deletionTables, DeletionsService } from '../deletion/deletions.service.ts';
import { EventsService } from '../events/events.service.ts';
import { type FactorsOfAccount, LostFactorsService } from '../factors/lost-factors.service.ts';
import { DeliveryService } from '../mail/delivery.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import { LEAD_SECONDS, SigningKeysService } from '../oauth/signing-keys.service.ts';
import { type OperatorTools, runOperatorProgram, table } from '../platform/operator-program.ts';
import { AdminService, type UserRow } from './admin.service.ts';

/*
 * The operator's `lockstep admin …` and `lockstep users deletion`: talks to the front's database.
 * Takes what to do as JSON, and prints lines, or with `json` one line of it.
 */
const who = z.string().min(1).max(320);
const limit = z.number().int().min(1).max(100_000).default(100);
const Task = z.intersection(
  z.object({ json: z.boolean().default(false) }),
  z.discriminatedUnion('action', [
    z.object({ action: z.literal('users'), search: z.string().default(''), limit }),
    z.object({ action: z.literal('user'), who }),
    z.object({ action: z.literal('delete'), who }),
    z.object({ action: z.literal('factors'), who, remove: z.boolean().default(false) }),
    z.object({ action: z.literal('operators') }),
    z.object({ action: z.literal('operator'), who, remove: z.boolean().default(false) }),
    z.object({ action: z.literal('deletion'), uid: z.string() }),
    z.object({ action: z.literal('invites') }),
    z.object({ action: z.literal('revoke-invites'), which: who }),
    z.object({ action: z.literal('sessions'), who: who.optional(), limit }),
    z.object({ action: z.literal('revoke-sessions'), which: who }),
    z.object({ action: z.literal('signing-keys') }),
    z.object({ action: z.literal('rotate-signing-key'), atOnce: z.boolean().default(false) }),
  ]),
);
type Tools = OperatorTools<z.infer<typeof Task>>;

await runOperatorProgram(process.env, Task, { entities: deletionTables }, run);

async function run({ task: what, db, clock, config, say }: Tools): Promise<void> {
  const deletions = new DeletionsService(db, clock);
  const admin = new AdminService(db, deletions, clock);
  switch (what.action) {
    case 'users': {
      const rows = await admin.users(what.search, what.limit);
      say(rows, table(rows.map(userColumns), 'There is no such account.'));
      return;
    }
    case 'user': {
      const { stores, files, ...user } = await admin.user(what.who);
      say({ ...user, files, stores }, [
        ...Object.entries(user).map(([name, value]) => `${name.padEnd(12)} ${String(value)}`),
        `files        ${files.count}, ${files.bytes} bytes of ciphertext`,
        ...stores.map(
          ({ uid, app, node }) => `store        ${uid} ${app === '' ? 'browsers' : app} on ${node}`,
        ),
      ]);
      return;
    }
    case 'delete': {
      const uid = await admin.delete(what.who);
      say({ uid }, [`${uid} is deleted. What is left to erase: lockstep users deletion ${uid}`]);
      return;
    }
    case 'factors': {
      // What it mails is sent by a server that runs: this one only writes it down.
      const mailer = new MailerService(db, clock, new DeliveryService(db, clock, config));
      const lost = new LostFactorsService(db, new EventsService(db, clock, deletions), mailer);
      const uid = await admin.uidOf(what.who);
      if (what.remove) {
        const removed = await lost.remove(uid);
        say({ uid, removed }, [`${uid} signs in by the password alone.`]);
      } else showFactors(say, await lost.of(uid));
      return;
    }
    case 'operators': {
      const rows = await admin.operators();
      const columns = rows.map(({ uid, since, email }) => [uid, since, email]);
      say(rows, table(columns, 'No account is an operator.'));
      return;
    }
    case 'operator': {
      const uid = await admin.setOperator(what.who, !what.remove);
      const words = what.remove ? 'is an operator no more' : 'is an operator';
      say({ uid, operator: !what.remove }, [`${uid} ${words}.`]);
      return;
    }
    case 'deletion':
      showDeletion(say, await deletions.find(what.uid));
      return;
    case 'invites': {
      const rows = await admin.invitations();
      const columns = rows.map(({ id, email, expires }) => [id, email ?? 'anybody', expires]);
      say(rows, table(columns, 'There is no invitation.'));
      return;
    }
    case 'revoke-invites': {
      const revoked = await admin.revokeInvitations(what.which);
      say({ revoked }, [`${revoked} taken back.`]);
      return;
    }
    case 'sessions': {
      const rows = await admin.sessions(what.who, what.limit);
      const columns = rows.map(({ id, email, used, device }) => [id, email, used, device ?? '']);
      say(rows, table(columns, 'There is no session.'));
      return;
    }
    case 'revoke-sessions': {
      const revoked = await admin.revokeSessions(what.which);
      say({ revoked }, [`${revoked} ended.`]);
      return;
    }
    case 'signing-keys': {
      const rows = await new SigningKeysService(db, clock).list();
      const columns = rows.map(({ kid, signsAt, endsAt }) => [
        ...[kid, `signs from ${signsAt.toISOString()}`],
        endsAt ? `published until ${endsAt.toISOString()}` : 'until another takes over',
      ]);
      say(rows, table(columns, 'There is no key yet: the first start makes one.'));
      return;
    }
    case 'rotate-signing-key': {
      const kid = await new SigningKeysService(db, clock).rotate(what);
      say({ kid }, [
        what.atOnce
          ? `${kid} signs now. What other keys signed is refused.`
          : `${kid} signs in ${LEAD_SECONDS} seconds. What the old key signed stays good.`,
      ]);
      return;
    }
  }
}

function showDeletion(
  say: Tools['say'],
  {
    uid,
    askedAt,
    finishedAt,
    nextTryAt,
    tries,
    waiting,
  }: Awaited<ReturnType<DeletionsService['find']>>,
): void {
  const times = {
    asked: askedAt.toISOString(),
    finished: finishedAt?.toISOString() ?? null,
    next: nextTryAt?.toISOString() ?? null,
  };
  const state = finishedAt ? `erased at ${times.finished}` : `being erased, ${tries} tries`;
  say({ uid, state: finishedAt ? 'erased' : 'erasing', ...times, tries, waiting }, [
    `${uid}: ${state}`,
    ...Object.entries(waiting).map(([part, why]) => `  ${part.padEnd(10)} ${why}`),
    ...(finishedAt || !times.next ? [] : [`  next try at ${times.next}`]),
  ]);
}

function showFactors(say: Tools['say'], factors: FactorsOfAccount): void {
  const { uid, email, totp, passkeys, backupCodes } = factors;
  const lines = [
    ...(totp ? ['authenticator'] : []),
    ...passkeys.map(({ name, used }) => `passkey        ${name}, last used ${used ?? 'never'}`),
    ...(backupCodes > 0 ? [`backup codes   ${backupCodes}`] : []),
  ];
  say(factors, [
    `${uid}  ${email}`,
    ...(lines.length > 0 ? lines : ['There is no second factor.']),
  ]);
}

function userColumns({ uid, email, verified, created, sessions }: UserRow): string[] {
  return [uid, created, verified ? 'verified' : 'unverified', `${sessions} sessions`, email];
}
