import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { type AppFace, ClientId } from '#lib/protocol';
import { builtInClients } from './built-in-clients.ts';
import type { ClientMetadata } from './client-metadata.ts';
import type { StoredSecret } from './client-secret.ts';

/** For those who look after apps. */
export type { ClientMetadata } from './client-metadata.ts';
export { makeClientSecret, OLD_SECRET_SECONDS, type StoredSecret } from './client-secret.ts';

/** The apps that may ask for tokens. */
@Injectable()
export class ClientsService {
  constructor(@InjectDataSource() private readonly db: DataSource) {}

  /** Adds the built-in apps that are missing; one that an operator changed stays as it is. */
  async seed(): Promise<void> {
    for (const metadata of builtInClients) {
      await this.db.query(
        `INSERT INTO oauth_client (id, metadata) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
        [metadata.client_id, metadata],
      );
    }
  }

  /** Read at every use, so that a changed row acts at once. */
  async find(clientId: string): Promise<ClientMetadata | undefined> {
    return (await this.row(clientId))?.metadata;
  }

  /**
   * The same for the provider, which compares secrets.
   *
   * @returns `client_secrets` when there are some
   */
  async findWithSecret(
    clientId: string,
  ): Promise<(ClientMetadata & { client_secrets?: StoredSecret[] }) | undefined> {
    const row = await this.row(clientId);
    return row && { ...row.metadata, ...(row.secrets && { client_secrets: row.secrets }) };
  }

  /** How an app shows itself to a person. */
  async face(clientId: string): Promise<AppFace | undefined> {
    const row = await this.row(clientId);
    if (!row) return undefined;
    const { client_name: name, client_uri, policy_uri, tos_uri } = row.metadata;
    return {
      client_id: clientId,
      name,
      ...(row.logo !== null && { logo: logoPath(row.logo) }),
      ...(client_uri !== undefined && { client_uri }),
      ...(policy_uri !== undefined && { policy_uri }),
      ...(tos_uri !== undefined && { tos_uri }),
      by: isBuiltIn(clientId) ? 'built-in' : row.owner === null ? 'operator' : 'developer',
    };
  }

  private async row(clientId: string): Promise<Row | undefined> {
    if (!ClientId.safeParse(clientId).success) return undefined; // also what no text column holds
    const [row] = await this.db.query<Row[]>(
      `SELECT metadata, secrets, owner, l.id AS logo
         FROM oauth_client c LEFT JOIN app_logo l ON l.client_id = c.id WHERE c.id = $1`,
      [clientId],
    );
    return row;
  }
}

interface Row {
  metadata: ClientMetadata;
  secrets: StoredSecret[] | null;
  owner: string | null;
  logo: string | null;
}

/** Where a picture of this name is shown. */
export const logoPath = (id: string): string => `/apps/logos/${id}`;

/** Whether the server comes with this app, and makes it anew when it is gone. */
export const isBuiltIn = (clientId: string): boolean =>
  builtInClients.some(({ client_id }) => client_id === clientId);
