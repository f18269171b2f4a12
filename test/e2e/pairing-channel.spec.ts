import { randomBytes } from 'node:crypto';
import { WebSocket as NodeWebSocket } from 'ws';
import { z } from 'zod';
import { readMeeting, SecureChannel } from '../../apps/web/src/pairing/secure-channel.ts';
import { ChannelRefusal, TlsClient } from '../../apps/web/src/pairing/tls-client.ts';
import { Authority } from '../support/authority.ts';
import { RelayEnd } from '../support/relay.ts';
import { TestServer } from '../support/test-server.ts';

// Node has none of its own before 22.
Object.assign(globalThis, { WebSocket: NodeWebSocket });

let server: TestServer;
let relay: string;
beforeAll(async () => {
  server = await TestServer.start();
  relay = server.url.replace(/^http/, 'ws');
});
afterAll(() => server.stop());

type Tamper = Parameters<typeof Authority.open>[2];
const Answer = z.object({ b: z.string() });

/** Both ends, the one being ours and the other OpenSSL's, with somebody in between. */
async function met(tamper?: Tamper) {
  const authority = await Authority.open(server.url, randomBytes(32), tamper);
  const meeting = readMeeting(authority.fragment);
  if (!meeting) throw new Error('The address is not understood.');
  return { authority, meeting, connect: () => SecureChannel.connect(relay, meeting) };
}

/** Changes what the authority sends, from a certain record on. */
const from =
  (first: number, change: (record: Buffer) => Buffer | undefined): Tamper =>
  (record, direction) =>
    direction === 'out' && first-- <= 0 ? change(record) : record;

/** The records of OpenSSL before what is said: two of the handshake at least, and two tickets. */
const said = (record: Buffer) => record[0] === 23 && record.length < 100;

const flipped = (record: Buffer) => {
  const changed = Buffer.from(record);
  const last = changed.length - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  return changed;
};

describe('the channel of a pairing', () => {
  it('is TLS 1.3 as OpenSSL speaks it, both ways', async () => {
    const { authority, connect } = await met();
    const channel = await connect();
    await channel.send('pair:supp:request', { scope: 'ünïcode' });
    expect(await authority.next()).toEqual({
      message: 'pair:supp:request',
      data: { scope: 'ünïcode' },
    });
    await channel.send('pair:supp:authorize');
    expect(await authority.next()).toEqual({ message: 'pair:supp:authorize' });
    for (const b of ['1', 'x'.repeat(10_000), '3']) {
      authority.send('back', { b });
      expect(await channel.next('back', Answer)).toEqual({ b });
    }
    await authority.close();
    await channel.ended();
    await channel.close();
  });

  it('shows the relay nothing of what is said', async () => {
    const seen: Buffer[] = [];
    const { authority, connect } = await met((record) => {
      seen.push(record);
      return record;
    });
    const channel = await connect();
    await channel.send('secret', { b: 'a code of the account' });
    await authority.next();
    authority.send('secret', { b: 'a code of the account' });
    await channel.next('secret', Answer);
    expect(Buffer.concat(seen).toString('latin1')).not.toMatch(/secret|a code/);
  });

  it('does not open to somebody who knows the id and not the key', async () => {
    const { authority, meeting } = await met();
    const wrong = { ...meeting, channelKey: new Uint8Array(randomBytes(32)) };
    await expect(SecureChannel.connect(relay, wrong)).rejects.toThrow(ChannelRefusal);
    await authority.end.closed;
  });

  it('finds out an authority that does not have the key', async () => {
    // It says yes to whatever it is asked, as far as it can without the key.
    const tls = new TlsClient(new Uint8Array(randomBytes(32)), 'id');
    const hello = Buffer.concat([
      Buffer.from('160303', 'hex'),
      Buffer.from('003802000034' + '0303', 'hex'),
      randomBytes(32),
      Buffer.from('00130100000c002b00020304002900020000', 'hex'),
    ]);
    await tls.receive(hello);
    expect(tls.isOpen).toBe(false);
    const forged = Buffer.concat([Buffer.from('1703030035', 'hex'), randomBytes(53)]);
    await expect(tls.receive(forged)).rejects.toThrow('does not open');
    // And it is over for good.
    await expect(tls.receive(forged)).rejects.toThrow('It is over');
    await expect(tls.say(new Uint8Array(1))).rejects.toThrow(ChannelRefusal);
  });

  it.each<[string, Tamper]>([
    ['a changed server hello', from(0, flipped)],
    ['another cipher', from(0, (record) => replaced(record, '1301', '1303'))],
    ['an older version', from(0, (record) => replaced(record, '002b00020304', '002b00020303'))],
    ['a changed handshake', from(1, flipped)],
    ['a handshake in the clear', from(1, (record) => replaced(record, '17', '16'))],
    ['an alert in the clear', from(1, () => Buffer.from('15030300020100', 'hex'))],
    ['a record that is cut off', from(0, (record) => record.subarray(0, -1))],
    ['a record that is none', from(0, () => Buffer.alloc(0))],
    ['a record without an end', from(1, () => Buffer.alloc(20_000, 23))],
  ])('refuses %s', async (_what, tamper) => {
    const { authority, connect } = await met(tamper);
    await expect(connect()).rejects.toThrow(ChannelRefusal);
    await authority.end.closed;
  });

  it.each<[string, (record: Buffer, before: Buffer | undefined) => Buffer | undefined]>([
    ['changed', flipped],
    ['repeated', (record, before) => before ?? record],
    ['left out', (_record, before) => (before ? undefined : _record)],
  ])('refuses what was %s on the way', async (what, change) => {
    let before: Buffer | undefined;
    let isArmed = false;
    const { authority, connect } = await met((record, direction) => {
      if (direction === 'in' || !isArmed || !said(record)) return record;
      const changed = change(record, before);
      before ??= record;
      return changed;
    });
    const channel = await connect();
    isArmed = true;
    authority.send('back', { b: '1' });
    if (what !== 'changed') expect(await channel.next('back', Answer)).toEqual({ b: '1' });
    authority.send('back', { b: '2' });
    if (what === 'left out') {
      isArmed = false;
      authority.send('back', { b: '3' });
    }
    await expect(channel.next('back', Answer)).rejects.toThrow(ChannelRefusal);
  });

  it('refuses a message that is not the one that is due', async () => {
    const { authority, connect } = await met();
    const channel = await connect();
    authority.send('something', { b: '1' });
    await expect(channel.next('back', Answer)).rejects.toThrow('something else');
    authority.send('back', { c: '1' });
    await expect(channel.next('back', Answer)).rejects.toThrow('something else');
  });

  it('ends when nobody is there, or not any more', async () => {
    const nowhere = { channelId: 'AAAAAAAAAAAAAAAAAAAAAA', channelKey: new Uint8Array(32) };
    await expect(SecureChannel.connect(relay, nowhere)).rejects.toThrow('Nobody waits');
    const { authority, connect } = await met();
    const channel = await connect();
    authority.end.socket.terminate();
    await expect(channel.next('back', Answer)).rejects.toThrow('gone');
    await channel.ended();

    const declined = await met();
    const waiting = await declined.connect();
    declined.authority.send('back', { b: 'first' });
    await declined.authority.close();
    expect(await waiting.next('back', Answer)).toEqual({ b: 'first' });
    await expect(waiting.next('back', Answer)).rejects.toThrow('goodbye');
    await waiting.close();
  });

  it('does not take a channel of another name for its own', async () => {
    const { authority, meeting } = await met();
    // A relay that brings two together who did not mean each other: the name is part of the handshake.
    const other = await RelayEnd.connect(server.url);
    const { channelid } = (await other.next()) as { channelid: string };
    const there = SecureChannel.connect(relay, { ...meeting, channelId: channelid });
    const { message } = (await other.next()) as { message: string };
    const third = await RelayEnd.connect(server.url, `/v1/ws/${authority.channelId}`);
    await third.next();
    third.send(message);
    const { message: refusal } = (await third.next()) as { message: string };
    // An alert, in the clear.
    expect(Buffer.from(refusal, 'base64url')[0]).toBe(21);
    other.send(refusal);
    await expect(there).rejects.toThrow(ChannelRefusal);
    third.socket.close();
  });

  it('reads the address of the QR code, and no other', () => {
    const key = Buffer.alloc(32, 7).toString('base64url');
    const good = `#channel_id=AbC_-123&channel_key=${key}`;
    expect(readMeeting(good)).toEqual({
      channelId: 'AbC_-123',
      channelKey: new Uint8Array(32).fill(7),
    });
    for (const bad of [
      ...['', '#', '#channel_id=AbC_-123', `#channel_key=${key}`],
      `#channel_id=../../x&channel_key=${key}`,
      `#channel_id=AbC_-123&channel_key=${key.slice(2)}`,
      `#channel_id=AbC_-123&channel_key=${key}AA`,
      '#channel_id=AbC_-123&channel_key=%%%',
      `#channel_id=${'a'.repeat(65)}&channel_key=${key}`,
    ]) {
      expect(readMeeting(bad)).toBeUndefined();
    }
  });
});

const replaced = (record: Buffer, from: string, to: string) =>
  Buffer.from(record.toString('hex').replace(from, to), 'hex');
