import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Failure } from '#lib/protocol';

/** The connection of a request that asks to go on as something else, and what came behind it. */
export interface Upgrade {
  socket: Duplex;
  head: Buffer;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/**
 * Sends requests that ask for an upgrade through the router like all others, so that limits, visitors,
 * refusals and logs are theirs, too. A route takes the connection with {@link upgradeOf}; any other
 * answers as if nothing had been asked, as RFC 9110 §7.8 has it, and the connection ends.
 */
export function routeUpgrades(fastify: FastifyInstance): void {
  fastify.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Nobody else listens while the database is asked, and an error that nobody hears ends the process.
    socket.on('error', () => socket.destroy());
    upgrades.set(request, { socket, head });
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    // Of an HTTP request it is one.
    response.assignSocket(request.socket);
    response.on('finish', () => socket.end());
    fastify.routing(request, response);
  });
}

/**
 * The connection of a request for a WebSocket.
 *
 * @throws Failure `upgrade-required` when it is for none
 */
export function upgradeOf({ raw }: FastifyRequest): Upgrade {
  const upgrade = upgrades.get(raw);
  if (upgrade && raw.headers.upgrade?.toLowerCase() === 'websocket') return upgrade;
  throw new Failure(
    'upgrade-required',
    'This is a WebSocket. A proxy in front of the server has to pass the headers Upgrade and Connection on.',
    { headers: { upgrade: 'websocket', connection: 'upgrade' } },
  );
}
