import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { signHawk } from '#lib/crypto';
import { Failure, type StorageAccess } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { StorageCredentialsService } from './storage-credentials.service.ts';
import type { StorePlace } from './token.service.ts';

/** A record to put into a collection. */
export interface RecordToPut {
  id: string;
  payload: string;
  /** Seconds until it goes away. */
  ttl?: number | undefined;
}

const TOKEN_SECONDS = 60;
const PATIENCE_MS = 10_000;

/**
 * Writes to storage nodes as any client does: over HTTP, with a token. The node may be this process.
 *
 * @see docs/protocol/sync.md
 */
@Injectable()
export class StorageClientService {
  constructor(
    private readonly credentials: StorageCredentialsService,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  /**
   * Puts records into a collection, in one request.
   *
   * @param access - what the token for it allows; undefined for everything
   * @throws Failure `unavailable` when the node cannot be reached or does not take our tokens,
   * `over-quota`, `malformed` when it does not take one of the records
   */
  async put(
    place: StorePlace,
    access: StorageAccess | undefined,
    collection: string,
    bsos: readonly RecordToPut[],
  ): Promise<void> {
    const path = `/storage/1.5/${place.uid}/storage/${encodeURIComponent(collection)}`;
    const body = Buffer.from(JSON.stringify(bsos));
    const contentType = 'application/json';
    const { id, key } = await this.credentials.mint({ ...place, access }, TOKEN_SECONDS);
    const authorization = await signHawk({
      id,
      key: Buffer.from(key),
      method: 'POST',
      url: place.node + path,
      ts: this.clock.seconds(),
      nonce: randomBytes(9).toString('base64url'),
      payload: { contentType, body },
    });
    // Signed for the public address, wherever the request really goes.
    const isOwn = place.node === this.config.at('');
    const { status, text } = await send((isOwn ? this.config.internalUrl : place.node) + path, {
      method: 'POST',
      headers: { authorization, 'content-type': contentType },
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (status === 400 && text === '14') {
      throw new Failure('over-quota', 'The collection has no room for it.');
    }
    if (status === 400 || status === 413) {
      throw new Failure('malformed', `The storage node does not take it (code ${text}).`);
    }
    if (status !== 200) throw away(`it answered ${status}`);
    const { failed } = JSON.parse(text) as { failed: Record<string, string> };
    const reason = Object.values(failed)[0];
    if (reason !== undefined) throw new Failure('malformed', `A record was not taken: ${reason}.`);
  }
}

async function send(url: string, init: RequestInit): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, init);
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    throw away('it cannot be reached', cause);
  }
}

const away = (why: string, cause?: unknown) =>
  new Failure('unavailable', `The storage node is away: ${why}.`, {
    cause,
    headers: { 'retry-after': '10' },
  });
