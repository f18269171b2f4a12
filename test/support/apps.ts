import { createHash, randomBytes } from 'node:crypto';
import type { ClientMetadata } from '../../apps/server/src/oauth/client-metadata.ts';
import type { TestServer } from './test-server.ts';

/** An app as the operator would have registered it. */
export interface TestApp {
  clientId: string;
  /** Empty for a public app. */
  secret: string;
  redirectUri: string;
}

/** Puts an app into the table; without a method of authentication it is a public one. */
export async function addApp(
  server: TestServer,
  more: Partial<ClientMetadata> = {},
): Promise<TestApp> {
  const clientId = `app-${randomBytes(4).toString('hex')}`;
  const secret = more.token_endpoint_auth_method ? randomBytes(32).toString('base64url') : '';
  const redirectUri = more.redirect_uris?.[0] ?? 'https://app.example/callback';
  const metadata: ClientMetadata = {
    ...{ client_id: clientId, client_name: 'An app', application_type: 'web' },
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [redirectUri],
    scope: 'openid profile offline_access keys:read',
    ...more,
  };
  const secrets = secret === '' ? null : JSON.stringify([{ sha256: sha256(secret) }]);
  await server.db.query(`INSERT INTO oauth_client (id, metadata, secrets) VALUES ($1, $2, $3)`, [
    ...[clientId, metadata, secrets],
  ]);
  return { clientId, secret, redirectUri };
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');

/** `Authorization` of an app that has a secret. */
export const basic = ({ clientId, secret }: TestApp): string =>
  `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`;
