import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Failure } from '#lib/protocol';
import { deletionTables, DeletionsService } from '../deletion/deletions.service.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { noServer, runningDatabase } from '../platform/running-database.ts';
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
    z.object({ action: z.literal('deletion'), uid: z.string() }),
    z.object({ action: z.literal('invites') }),
    z.object({ action: z.literal('revoke-invites'), which: who }),
    z.object({ action: z.literal('sessions'), who: who.optional(), limit }),
    z.object({ action: z.literal('revoke-sessions'), which: who }),
  ]),
);
type Task = z.infer<typeof Task>;

// `lockstep … | head` has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(1);
});

Logger.overrideLogger(false); // what is printed is the answer
const task = Task.parse(JSON.parse(process.argv[2] ?? ''));
const config = Config.from(process.env);
const clock = new Clock();
const db = await new DataSource({
  type: 'postgres',
  url: runningDatabase(config) ?? away(),
  parseInt8: true,
  entities: deletionTables,
}).initialize();
const deletions = new DeletionsService(db, clock);
const admin = new AdminService(db, deletions, clock);
try {
  await run(task);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  complain(error.code, error.message);
  process.exitCode = 1;
} finally {
  await db.destroy();
}

async function run(what: Task): Promise<void> {
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
    case 'deletion':
      return showDeletion(what.uid);
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
  }
}

async function showDeletion(uid: string): Promise<void> {
  const { askedAt, finishedAt, nextTryAt, tries, waiting } = await deletions.find(uid);
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

function userColumns({ uid, email, verified, created, sessions }: UserRow): string[] {
  return [uid, created, verified ? 'verified' : 'unverified', `${sessions} sessions`, email];
}

function table(rows: readonly (readonly string[])[], none: string): string[] {
  if (rows.length === 0) return [none];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** What people chose to call their devices is shown and not obeyed. */
function say(value: unknown, lines: readonly string[]): void {
  const text = task.json ? JSON.stringify(value) : lines.map(printable).join('\n');
  process.stdout.write(`${text}\n`);
}

function complain(error: string, message: string): void {
  const text = task.json ? JSON.stringify({ error, message }) : printable(message);
  process.stderr.write(`${text}\n`);
}

function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

function away(): never {
  complain('no-server', noServer(config));
  return process.exit(1);
}
