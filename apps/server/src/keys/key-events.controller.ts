import { Body, Controller, Get, Headers, HttpCode, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Watch, WatchQuery } from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { KeyEventsService } from './key-events.service.ts';
import { KeyStreamsService } from './key-streams.service.ts';

interface StreamHeaders {
  accept?: string;
  authorization?: string;
  'last-event-id'?: string;
}

/** Whose keys changed: once, or as it happens to whoever accepts `text/event-stream`. */
@Controller('keys/v1/events')
export class KeyEventsController {
  constructor(
    private readonly events: KeyEventsService,
    private readonly streams: KeyStreamsService,
  ) {}

  @Get()
  @Requires('keys', 'keys:discover')
  get(
    @Caller() caller: Grant,
    @Query({ schema: WatchQuery }) { uid, since }: WatchQuery,
    @Headers() headers: StreamHeaders,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.answer(
      caller,
      { uids: uid, ...(since !== undefined && { since }) },
      headers,
      reply,
    );
  }

  /** For more people than a URL holds. */
  @Post()
  @HttpCode(200)
  @Requires('keys', 'keys:discover')
  post(
    @Caller() caller: Grant,
    @Body({ schema: Watch }) watch: Watch,
    @Headers() headers: StreamHeaders,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.answer(caller, watch, headers, reply);
  }

  private async answer(
    caller: Grant,
    watch: Watch,
    { accept = '', authorization = '', 'last-event-id': last = '' }: StreamHeaders,
    reply: FastifyReply,
  ): Promise<void> {
    void reply.header('cache-control', 'no-store').header('vary', 'Accept, Authorization');
    const isStream = accept.includes('text/event-stream');
    const since = isStream && /^\d{1,15}$/.test(last) ? last : watch.since;
    const { uids } = watch;
    const known = await this.events.since(caller, { uids, ...(since !== undefined && { since }) });
    if (!isStream) {
      await reply.send(known);
      return;
    }
    const token = authorization.slice(authorization.indexOf(' ') + 1);
    const stream = this.streams.open(caller, token, uids, known);
    // Not the answer's end: that of a HEAD, or of one of several on a connection, says nothing of it.
    const { socket } = reply.raw.req;
    socket.once('close', () => stream.destroy());
    if (socket.destroyed) stream.destroy();
    await reply
      .header('content-type', 'text/event-stream')
      .header('connection', 'close') // or a server that stops would wait for its next request
      .header('x-accel-buffering', 'no') // a proxy that waits for more would wait for ever
      .send(stream);
  }
}
