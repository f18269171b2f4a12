import { createHash, randomBytes } from 'node:crypto';
import { AccountApi, type Reply } from '../accounts/account-api.ts';
import { BareServer } from '../sync/bare-server.ts';
import { ServerUnderTest } from '../sync/server-under-test.ts';

const FIREFOX = '5882386c6d801776';
const REDIRECT = 'urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel';
const CLIENTS = 8;
/** Each expires with a code's ten minutes, and is used before. */
const CODES = 100;

/** What is measured. The first is what the others are set beside. */
export const subjects = ['bare', 'guarded', 'introspection', 'exchange'] as const;
export type Subject = (typeof subjects)[number];

/** One measurement. */
export interface Measured {
  requests: number;
  /** Requests per second. */
  rate: number;
  /** Processor time for each request, in microseconds: of the process that answers, and of PostgreSQL. */
  server: number;
  database: number;
}

/** A server and a bare route on one database, with as many apps and tokens as somebody has put there. */
export class Side {
  private authorization = '';
  private token = '';

  private constructor(
    readonly server: ServerUnderTest,
    private readonly bare: BareServer,
    private readonly api: AccountApi,
    private readonly bareApi: AccountApi,
  ) {}

  /** With one account and one token. */
  static async start(): Promise<Side> {
    const server = await ServerUnderTest.start({ SIGN_UP: 'open', BUDGETS: 'all=none' });
    const main = new URL('./bare-route.main.js', import.meta.url);
    const bare = await BareServer.start(server.databaseUrl, main);
    const api = new AccountApi(server.origin);
    const side = new Side(server, bare, api, new AccountApi(bare.origin));
    try {
      await side.signIn();
      return side;
    } catch (error) {
      await side.stop();
      throw error;
    }
  }

  private async signIn(): Promise<void> {
    const [person] = await this.api.signUp(1);
    await this.server.query('UPDATE account SET verified_at = now()');
    this.authorization = this.api.bearer(person?.sessionToken ?? '');
    const body = { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: 'profile' };
    const { authorization } = this;
    const reply = await this.api.call({ path: '/auth/v1/oauth/token', body, authorization });
    this.token = (expectOk(reply) as { access_token: string }).access_token;
  }

  async stop(): Promise<void> {
    this.api.close();
    this.bareApi.close();
    await this.bare.stop();
    await this.server.stop();
  }

  /** Puts apps and tokens there, as like those of people as makes no difference to a look-up. */
  async fill(apps: number, tokens: number): Promise<void> {
    const { server } = this;
    await server.query(
      `INSERT INTO oauth_client (id, metadata)
       SELECT 'app-' || n, metadata || jsonb_build_object('client_id', 'app-' || n)
         FROM oauth_client, generate_series(1, $1::integer) n WHERE id = 'demo-app'`,
      [apps],
    );
    await server.query(
      `INSERT INTO oidc (model, id, grant_key, expires_at, payload, session_id)
       SELECT 'Grant', 'grant-' || n, 'grant-' || n, now() + interval '1 year',
              g.payload || jsonb_build_object('clientId', 'app-' || 1 + n % $2, 'jti', 'grant-' || n),
              g.session_id
         FROM generate_series(1, $1::integer) n,
              (SELECT * FROM oidc WHERE model = 'Grant' LIMIT 1) g`,
      [tokens, apps],
    );
    await server.query(
      `INSERT INTO oidc (model, id, grant_id, expires_at, payload)
       SELECT 'AccessToken', translate(encode(sha256(n::text::bytea), 'base64'), '+/=', '-_'),
              'grant-' || n, now() + interval '1 day',
              t.payload || jsonb_build_object('clientId', 'app-' || 1 + n % $2)
         FROM generate_series(1, $1::integer) n,
              (SELECT * FROM oidc WHERE model = 'AccessToken' LIMIT 1) t`,
      [tokens, apps],
    );
    await server.query('VACUUM ANALYZE');
  }

  /** @param seconds - how long; the exchange takes as long as its codes do */
  async measure(subject: Subject, seconds: number): Promise<Measured> {
    const authorization = `Bearer ${this.token}`;
    const timed = (ask: () => Promise<Reply>) => this.load(subject, ask, { seconds });
    switch (subject) {
      case 'bare':
        return timed(() => this.bareApi.call({ method: 'GET', path: '/uid', authorization }));
      case 'guarded':
        return timed(() =>
          this.api.call({ method: 'GET', path: '/profile/v1/uid', authorization }),
        );
      case 'introspection':
        return timed(() =>
          this.api.call({ path: '/oauth/v1/introspect', body: { token: this.token } }),
        );
      case 'exchange':
        return this.exchange();
    }
  }

  private async exchange(): Promise<Measured> {
    const verifier = randomBytes(32).toString('base64url');
    const codes: string[] = [];
    for (let i = 0; i < CODES; i++) codes.push(await this.code(verifier));
    return this.load(
      'exchange',
      () => {
        const body = {
          ...{ grant_type: 'authorization_code', client_id: FIREFOX },
          ...{ code: codes.pop() ?? '', code_verifier: verifier },
        };
        return this.api.call({ path: '/auth/v1/oauth/token', body });
      },
      { count: CODES },
    );
  }

  private async code(verifier: string): Promise<string> {
    const body = {
      ...{ client_id: FIREFOX, redirect_uri: REDIRECT, response_type: 'code', state: 'state' },
      ...{ scope: 'profile', access_type: 'offline', code_challenge_method: 'S256' },
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    };
    const { authorization } = this;
    const reply = await this.api.call({
      path: '/auth/v1/oauth/authorization',
      body,
      authorization,
    });
    return (expectOk(reply) as { code: string }).code;
  }

  private async load(
    subject: Subject,
    ask: () => Promise<Reply>,
    until: { seconds?: number; count?: number },
  ): Promise<Measured> {
    const { seconds = Infinity, count = Infinity } = until;
    const before = await this.usage(subject);
    const started = performance.now();
    let begun = 0;
    const client = async () => {
      while (begun < count && performance.now() < started + seconds * 1000) {
        begun++;
        expectOk(await ask());
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const elapsed = (performance.now() - started) / 1000;
    const after = await this.usage(subject);
    const each = (side: 'server' | 'database') => ((after[side] - before[side]) / begun) * 1e6;
    return {
      requests: begun,
      rate: begun / elapsed,
      server: each('server'),
      database: each('database'),
    };
  }

  private async usage(subject: Subject): Promise<{ server: number; database: number }> {
    const { server, database } = await this.server.usage();
    return { server: subject === 'bare' ? await this.bare.usage() : server, database };
  }
}

function expectOk({ status, text }: Reply): unknown {
  if (status !== 200) throw new Error(`${status} ${text}`);
  return JSON.parse(text);
}
