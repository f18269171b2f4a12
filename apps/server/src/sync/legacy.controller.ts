import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import {
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Post,
  Put,
  Query,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { quotaJson } from './info.controller.ts';
import { negotiateLegacy, sendLegacyPage, wboJson } from './legacy-reply.ts';
import { readDeleteFilter, readLegacyList, readUnmodifiedSince } from './legacy-query.ts';
import type { RawQuery } from './list-query.ts';
import type { StorageRequest } from './raw-requests.ts';
import { CollectionName, RecordId } from './storage-names.ts';
import { LegacyGuard, StorageUid } from './storage.guard.ts';
import { type CollectionSummary, StorageReaderService } from './storage-reader.service.ts';
import { StorageWriterService, type Written } from './storage-writer.service.ts';
import { readWbo, readWbos } from './wbo.ts';
import { type Hundredths, toHundredths, weaveTime } from './weave-time.ts';

/** From this many bytes below the quota on, writers are told what is left. */
const QUOTA_WARNING_BYTES = 1024 * 1024;

/** Storage API 1.1: docs/protocol/sync.md */
@Controller(['storage/1.1/:username', '1.1/:username'])
@UseGuards(LegacyGuard)
export class LegacyController {
  constructor(
    private readonly reader: StorageReaderService,
    private readonly writer: StorageWriterService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  @Get('info/collections')
  async collections(@StorageUid() uid: number, @Res({ passthrough: true }) reply: FastifyReply) {
    const times = [...(await this.reader.filledCollections(uid))];
    void reply.header('x-weave-records', times.length);
    return sendObject(
      reply,
      times.map(([name, time]) => [name, weaveTime(time)]),
    );
  }

  @Get('info/collection_counts')
  async counts(@StorageUid() uid: number, @Res({ passthrough: true }) reply: FastifyReply) {
    const entries = await this.summarize(uid, ({ records }) => String(records));
    void reply.header('x-weave-records', entries.length);
    return sendObject(reply, entries);
  }

  @Get('info/collection_usage')
  async usage(@StorageUid() uid: number, @Res({ passthrough: true }) reply: FastifyReply) {
    return sendObject(reply, await this.summarize(uid, ({ bytes }) => String(bytes / 1024)));
  }

  @Get('info/quota')
  async quota(@StorageUid() uid: number, @Res({ passthrough: true }) reply: FastifyReply) {
    const { collections } = await this.reader.summaries(uid);
    const used = collections.reduce((sum, { bytes }) => sum + bytes, 0);
    return send(reply, quotaJson(used, this.config.limits.storageUserQuotaBytes));
  }

  @Get('storage/:collection')
  async list(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Query() raw: RawQuery,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    const { storagePageRecordsMax, storagePageBytesMax } = this.config.limits;
    const { payloadBytes, postRecords, postLength } = this.limits;
    // More than was written at one time, so that who goes on by time gets on.
    const query = readLegacyList(raw, Math.max(storagePageRecordsMax, postRecords + 1));
    const bytesMax = Math.max(storagePageBytesMax, 4 * postLength + payloadBytes);
    const page = await this.reader.list(uid, collection, query, { bytesMax });
    // Clients take it for their next `newer`, and have no other way to go on.
    const isCut = page.next !== undefined && !(query.isLimited && page.count === query.limit);
    const cut = page.next && query.sort === 'oldest' ? page.next.value - 1 : query.newer;
    void reply.header(
      'x-weave-timestamp',
      weaveTime(isCut ? Math.max(cut ?? 0, 0) : page.seenUntil),
    );
    return sendLegacyPage(reply, page, negotiateLegacy(accept), query.full);
  }

  @Get('storage/:collection/:id')
  async get(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    return send(reply, wboJson(await this.reader.get(uid, collection, id)));
  }

  @Put('storage/:collection/:id')
  async put(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Req() request: StorageRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const unmodifiedSince = readUnmodifiedSince(headers);
    const change = readWbo(bodyOf(request), id, this.limits);
    const target = { uid, collection, unmodifiedSince };
    const written = await this.writer.write(target, [change], { isLegacy: true });
    return this.sendWritten(reply, written, weaveTime(written.itemModified));
  }

  @Post('storage/:collection')
  @HttpCode(200)
  async post(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Headers() headers: IncomingHttpHeaders,
    @Req() request: StorageRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const target = { uid, collection, unmodifiedSince: readUnmodifiedSince(headers) };
    const upload = readWbos(bodyOf(request), this.limits);
    if (!('changes' in upload)) {
      const written = await this.writer.write(target, [upload], { isLegacy: true });
      return this.sendWritten(reply, written, weaveTime(written.itemModified));
    }
    const { changes, failed } = upload;
    const written = await this.writer.write(target, changes, { isLegacy: true });
    const success = JSON.stringify(changes.map(({ id }) => id));
    const reasons = JSON.stringify(Object.fromEntries(failed));
    const json = `{"modified":${weaveTime(written.modified)},"success":${success},"failed":${reasons}}`;
    return this.sendWritten(reply, written, json);
  }

  /** Written down nowhere, and used by clients. */
  @Put('storage/:collection')
  putAll(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Headers() headers: IncomingHttpHeaders,
    @Req() request: StorageRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    return this.post(uid, collection, headers, request, reply);
  }

  @Put('storage')
  putRoot(): never {
    throw new Failure('invalid-parameter', 'The root cannot be written.');
  }

  @Delete('storage/:collection/:id')
  async deleteRecord(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const target = { uid, collection, unmodifiedSince: readUnmodifiedSince(headers) };
    const named = { ids: [id] };
    return this.sendTime(reply, () =>
      this.writer.deleteCollection(target, named, { isLegacy: true }),
    );
  }

  @Delete('storage/:collection')
  async deleteCollection(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Query() query: RawQuery,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const target = { uid, collection, unmodifiedSince: readUnmodifiedSince(headers) };
    const filter = readDeleteFilter(query);
    return this.sendTime(reply, () =>
      this.writer.deleteCollection(target, filter, { isLegacy: true }),
    );
  }

  @Delete('storage')
  async clear(
    @StorageUid() uid: number,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    if (headers['x-confirm-delete'] === undefined) {
      throw new Failure('precondition-required', 'X-Confirm-Delete is missing.');
    }
    return this.sendTime(reply, () => this.writer.clear(uid, readUnmodifiedSince(headers)));
  }

  private async summarize(
    uid: number,
    toNumber: (summary: CollectionSummary) => string,
  ): Promise<[name: string, number: string][]> {
    const { collections } = await this.reader.summaries(uid);
    return collections.map((summary) => [summary.collection, toNumber(summary)]);
  }

  private sendWritten(reply: FastifyReply, { modified, room }: Written, json: string): string {
    if (room <= QUOTA_WARNING_BYTES) {
      void reply.header('x-weave-quota-remaining', String(Math.max(0, room) / 1024));
    }
    void reply.header('x-weave-timestamp', weaveTime(modified));
    return send(reply, json);
  }

  /** The time of the change; of the request, where there was nothing to change. */
  private async sendTime(reply: FastifyReply, change: () => Promise<Hundredths>): Promise<string> {
    const begun = toHundredths(this.clock.now());
    const time = weaveTime(Math.max(await change(), begun));
    void reply.header('x-weave-timestamp', time);
    return send(reply, time);
  }

  private get limits() {
    const { legacyPayloadBytesMax, legacyPostBytesMax, storagePostRecordsMax } = this.config.limits;
    return {
      payloadBytes: legacyPayloadBytesMax,
      postRecords: storagePostRecordsMax,
      postLength: legacyPostBytesMax,
    };
  }
}

const bodyOf = ({ body }: StorageRequest) => body ?? Buffer.alloc(0);

function send(reply: FastifyReply, json: string): string {
  void reply.header('content-type', 'application/json');
  return json;
}

function sendObject(reply: FastifyReply, entries: [name: string, number: string][]): string {
  const members = entries.map(([name, number]) => `${JSON.stringify(name)}:${number}`);
  return send(reply, `{${members.join(',')}}`);
}
