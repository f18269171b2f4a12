import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { database } from '../../apps/server/src/platform/database.ts';

/** Runs the operator's program against a database of its own, in this process. */
it('invites an address from the command line, and prints how to use it', async () => {
  const url = process.env.TEST_DATABASE_URL ?? '';
  const name = `invite_${randomUUID().replaceAll('-', '')}`;
  const admin = await new DataSource({ type: 'postgres', url }).initialize();
  await admin.query(`CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  const db = await new DataSource(database(own.href) as DataSourceOptions).initialize();

  const written: string[] = [];
  const stdout = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  const [argv, before] = [process.argv, process.env.DATABASE_URL];
  process.argv = ['node', 'invite', 'Bob@example.org'];
  process.env.DATABASE_URL = own.href;
  await import('../../apps/server/src/accounts/invite.main.ts');
  process.argv = argv;
  if (before === undefined) delete process.env.DATABASE_URL;
  else process.env.DATABASE_URL = before;
  stdout.mockRestore();

  expect(written.join('')).toMatch(
    /^([\w-]{22})\n[^]*sign-up Bob@example\.org --invitation \1 --url http:\/\/localhost:8000\n$/,
  );
  const rows = await db.query(`SELECT normal_email FROM invitation`);
  expect(rows).toEqual([{ normal_email: 'bob@example.org' }]);
  await db.destroy();
  await admin.query(`DROP DATABASE ${name}`);
  await admin.destroy();
});
