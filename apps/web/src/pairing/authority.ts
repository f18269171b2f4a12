import { z } from 'zod';
import { FxaClient } from '#lib/protocol';
import { FirefoxStatus } from '../firefox/connect.ts';
import { askFirefox, tellFirefox } from '../firefox/web-channel.ts';
import { http } from '../account/server.ts';

/** How Firefox calls the page that it sends its person to. */
const PAIR_AUTHORITY = 'urn:ietf:wg:oauth:2.0:oob:pair-auth-webchannel';
const HEARTBEAT_MS = 1000;
/** Firefox does not answer for a device that it has forgotten; a busy one answers late. */
const SILENCES_MAX = 3;

const Request = z.object({
  client_id: z.string().min(1),
  scope: z.string().min(1),
  channel_id: z.string().min(1),
  redirect_uri: z.literal(PAIR_AUTHORITY),
});
const Supplicant = z.object({
  ua: z.string().nullish(),
  ipAddress: z.string().nullish(),
});
const Heartbeat = z.object({
  suppAuthorized: z.boolean().optional(),
  err: z.string().optional(),
});

/** A device that waits to be connected, as Firefox and the server know it. */
export interface Asked {
  channelId: string;
  /** The account of the Firefox around this page; never what the address says. */
  email: string;
  /** What the server calls the app that asks. */
  app: string;
  scopes: string[];
  /** Its `User-Agent`: what it says itself. */
  agent: string;
  address: string;
}

/** Why nothing can be approved here. */
export class NothingToApprove extends Error {
  override readonly name = 'NothingToApprove';
  constructor(readonly reason: 'gone' | 'untrusted') {
    super(reason);
  }
}

/** Whether Firefox sent somebody here to approve a device. */
export const isPairing = (query: URLSearchParams): boolean => query.has('channel_id');

/**
 * Asks Firefox and the server who waits. An app of somebody else is refused without a question: Firefox would
 * ask this server for a code, and be refused as well.
 *
 * @throws NothingToApprove; ChannelError when there is no Firefox, or it knows of no such device
 */
export async function readAsked(query: URLSearchParams): Promise<Asked> {
  const { success, data: request } = Request.safeParse(Object.fromEntries(query));
  if (!success) throw new NothingToApprove('gone');
  const { client_id: clientId, channel_id: channelId } = request;
  const status = await askFirefox('fxa_status', { service: '', isPairing: true }, FirefoxStatus);
  if (!status.signedInUser) throw new NothingToApprove('gone');
  const url = `/oauth/v1/client/${encodeURIComponent(clientId)}`;
  const client = await http.json({ url }, FxaClient).catch(() => undefined);
  if (client?.trusted !== true) {
    decline(channelId);
    throw new NothingToApprove('untrusted');
  }
  const supplicant = await askFirefox(
    'pair_supplicant_metadata',
    { channel_id: channelId },
    Supplicant,
  );
  return {
    channelId,
    email: status.signedInUser.email,
    app: client.name,
    scopes: request.scope.split(' '),
    agent: supplicant.ua ?? '',
    address: supplicant.ipAddress ?? '',
  };
}

/** Has Firefox make the code, and give it to the device. @throws ChannelError */
export async function approve(channelId: string): Promise<void> {
  await askFirefox('pair_authorize', { channel_id: channelId }, z.object({}));
}

/** Sends the device away. */
export function decline(channelId: string): void {
  tellFirefox('pair_decline', { channel_id: channelId });
}

/**
 * Asks Firefox again and again how it goes, until that is settled.
 *
 * @param isApproved - whether it was approved here
 * @returns whether the device is connected; false when it is gone
 */
export async function settled(
  channelId: string,
  isApproved: () => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  let silences = 0;
  while (!signal.aborted && silences < SILENCES_MAX) {
    const beat = await askFirefox('pair_heartbeat', { channel_id: channelId }, Heartbeat).catch(
      () => undefined,
    );
    silences = beat ? 0 : silences + 1;
    if (beat?.err !== undefined) return false;
    if (beat?.suppAuthorized === true && isApproved()) {
      tellFirefox('pair_complete', { channel_id: channelId });
      return true;
    }
    await new Promise((done) => setTimeout(done, HEARTBEAT_MS));
  }
  return false;
}
