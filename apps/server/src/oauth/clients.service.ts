import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { apiByScope, APP_KEY, ClientId, OLD_SYNC } from '#lib/protocol';

/** What the server knows of an app, in the words of OpenID Connect Dynamic Client Registration. */
export interface ClientMetadata {
  client_id: string;
  client_name: string;
  application_type: 'native' | 'web';
  token_endpoint_auth_method: 'none';
  grant_types: string[];
  response_types: 'code'[];
  redirect_uris: string[];
  /** Every scope the app may ask for, separated by spaces. */
  scope: string;
}

/** Firefox on a desktop. */
export const FIREFOX = '5882386c6d801776';

const publicApp = {
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
} as const;

/** There from the first boot. A native app's loopback address may have any port (RFC 8252 §7.3). */
const builtIn = [
  {
    ...publicApp,
    client_id: 'demo-app',
    client_name: 'Lockstep demo',
    redirect_uris: ['http://127.0.0.1/callback'],
    scope: [
      'openid',
      'profile',
      'offline_access',
      APP_KEY,
      ...Object.keys(apiByScope).filter((scope) => !scope.startsWith(OLD_SYNC)),
    ].join(' '),
  },
  {
    ...publicApp,
    client_id: FIREFOX,
    client_name: 'Firefox',
    redirect_uris: ['urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel'],
    scope: `profile offline_access ${OLD_SYNC}`,
  },
];

/** The apps that may ask for tokens. */
@Injectable()
export class ClientsService {
  constructor(@InjectDataSource() private readonly db: DataSource) {}

  /** Adds the built-in apps that are missing; one that an operator changed stays as it is. */
  async seed(): Promise<void> {
    for (const metadata of builtIn) {
      await this.db.query(
        `INSERT INTO oauth_client (id, metadata) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
        [metadata.client_id, metadata],
      );
    }
  }

  /** Read at every use, so that a changed row acts at once. */
  async find(clientId: string): Promise<ClientMetadata | undefined> {
    if (!ClientId.safeParse(clientId).success) return undefined; // also what no text column holds
    const [row] = await this.db.query<{ metadata: ClientMetadata }[]>(
      `SELECT metadata FROM oauth_client WHERE id = $1`,
      [clientId],
    );
    return row?.metadata;
  }
}
