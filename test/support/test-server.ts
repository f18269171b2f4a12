import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { Clock } from '../../apps/server/src/platform/clock.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { database } from '../../apps/server/src/platform/database.ts';
import { createServer } from '../../apps/server/src/server.ts';

/** A clock that runs with the real one, and can be moved ahead. */
class TestClock extends Clock {
  private ahead = 0;
  override now(): Date {
    return new Date(Date.now() + this.ahead);
  }
  advance(seconds: number): void {
    this.ahead += seconds * 1000;
  }
}

/** Limits that a test which is not about them never meets. */
const ROOMY = 'all=1000000/60';

/** The real server on a real port, with its own empty schema, data folder and clock. */
export class TestServer {
  readonly clock = new TestClock();
  private constructor(
    readonly app: NestFastifyApplication,
    readonly config: Config,
    private readonly admin: DataSource,
    readonly schema: string,
    /** Where this process listens, which is not always its public address. */
    private readonly address = config.publicUrl.origin,
  ) {}

  static async start(environment: Record<string, string> = {}): Promise<TestServer> {
    const url = process.env.TEST_DATABASE_URL;
    if (url === undefined)
      throw new Error('TEST_DATABASE_URL is not set: run the tests by npm test');
    Logger.overrideLogger(false);
    const schema = `test_${randomUUID().replaceAll('-', '')}`;
    const admin = await new DataSource({ type: 'postgres', url }).initialize();
    await admin.query(`CREATE SCHEMA ${schema}`);
    const config = Config.from({
      PORT: String(await freePort()),
      DATA_DIR: await mkdtemp(join(tmpdir(), 'lockstep-test-')),
      DATABASE_URL: url,
      BUDGETS: ROOMY,
      ...environment,
    });
    const clock = new TestClock();
    const app = await createServer({ config, clock, database: database(url, { schema }) });
    const server = new TestServer(app, config, admin, schema);
    Object.assign(server, { clock });
    await app.listen(config.port, config.host);
    return server;
  }

  /** Another process on the same database, of the same public address, with a clock of its own. */
  async another(environment: Record<string, string> = {}): Promise<TestServer> {
    const config = Config.from({
      PORT: String(await freePort()),
      DATA_DIR: await mkdtemp(join(tmpdir(), 'lockstep-test-')),
      DATABASE_URL: this.config.databaseUrl,
      PUBLIC_URL: this.config.publicUrl.href,
      BUDGETS: ROOMY,
      ...environment,
    });
    const clock = new TestClock();
    const parts = { config, clock, database: database(config.databaseUrl ?? '', this) };
    const app = await createServer(parts);
    const address = `http://localhost:${config.port}`;
    const server = new TestServer(app, config, this.admin, this.schema, address);
    const stop = async () => {
      await app.close();
      await rm(config.dataDir, { recursive: true, force: true });
    };
    Object.assign(server, { clock, stop });
    await app.listen(config.port, config.host);
    return server;
  }

  get url(): string {
    return this.config.publicUrl.origin;
  }
  get db(): DataSource {
    return this.app.get(DataSource);
  }
  request() {
    return request.agent(this.address);
  }
  async stop(): Promise<void> {
    await this.app.close();
    await this.admin.query(`DROP SCHEMA ${this.schema} CASCADE`);
    await this.admin.destroy();
    await rm(this.config.dataDir, { recursive: true, force: true });
  }
}

export function freePort(): Promise<number> {
  return new Promise((found) => {
    const probe = createSocket().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => {
        found(port);
      });
    });
  });
}
