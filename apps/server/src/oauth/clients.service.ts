import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { ClientId } from '#lib/protocol';
import { builtInClients } from './built-in-clients.ts';
import type { ClientMetadata } from './client-metadata.ts';

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
    if (!ClientId.safeParse(clientId).success) return undefined; // also what no text column holds
    const [row] = await this.db.query<{ metadata: ClientMetadata }[]>(
      `SELECT metadata FROM oauth_client WHERE id = $1`,
      [clientId],
    );
    return row?.metadata;
  }
}
