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
import { Config } from '../platform/config.ts';
import { readBso, readBsos, type UploadLimits } from './bso.ts';
import { type Conditions, isUnchanged, RequestConditions } from './conditions.ts';
import { type RawQuery, readBatch, readIds, readListQuery, toOffset } from './list-query.ts';
import { mediaType, type StorageRequest } from './raw-requests.ts';
import { CollectionName, RecordId } from './storage-names.ts';
import { StorageGuard, StorageUid } from './storage.guard.ts';
import { StorageReaderService } from './storage-reader.service.ts';
import { StorageWriterService } from './storage-writer.service.ts';
import {
  bsoJson,
  idJson,
  negotiate,
  sendJson,
  sendPage,
  sendUnchanged,
  sendWritten,
  warnOfQuota,
} from './weave-reply.ts';
import { type Hundredths, weaveTime } from './weave-time.ts';

/** Storage API 1.5, the records: docs/protocol/sync.md */
@Controller(['storage/1.5/:uid', '1.5/:uid'])
@UseGuards(StorageGuard)
export class StorageController {
  private readonly limits: UploadLimits;

  constructor(
    private readonly reader: StorageReaderService,
    private readonly writer: StorageWriterService,
    private readonly config: Config,
  ) {
    const { storagePayloadBytesMax, storagePostRecordsMax, storagePostBytesMax } = config.limits;
    this.limits = {
      payloadBytes: storagePayloadBytesMax,
      postRecords: storagePostRecordsMax,
      postBytes: storagePostBytesMax,
    };
  }

  @Get('storage/:collection')
  async list(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Query() raw: RawQuery,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | Readable | undefined> {
    const format = negotiate(accept);
    const query = readListQuery(raw, this.config.limits.storagePageRecordsMax);
    const page = await this.reader.list(uid, collection, query, conditions);
    // Some clients take this for their next `newer`.
    void reply.header('x-weave-timestamp', weaveTime(page.seenUntil));
    if (isUnchanged(conditions, page.modified)) {
      sendUnchanged(reply, page.modified);
      return undefined;
    }
    if (page.next) void reply.header('x-weave-next-offset', toOffset(page.next, query.sort));
    return sendPage(reply, page, format, query.full ? bsoJson : idJson);
  }

  @Post('storage/:collection')
  @HttpCode(200)
  async post(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Query() query: RawQuery,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Req() request: StorageRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const batch = readBatch(query);
    this.expectAnnouncedSize(request);
    const isLines = expectType(request, 'application/newlines') === 'application/newlines';
    const body = { body: bodyOf(request), collection, isLines };
    const { changes, failed } = readBsos(body, this.limits);
    const target = { uid, collection, unmodifiedSince };
    const success = JSON.stringify(changes.map(({ id }) => id));
    const lists = `"success":${success},"failed":${JSON.stringify(Object.fromEntries(failed))}`;
    if (batch && !batch.commit) {
      const appended = await this.writer.append(target, changes, batch.id);
      void reply.status(202);
      return sendJson(reply, appended.modified, `{"batch":"${appended.batch}",${lists}}`);
    }
    const { modified, room } = batch?.id
      ? await this.writer.commit(target, changes, batch.id)
      : await this.writer.write(target, changes);
    warnOfQuota(reply, room);
    return sendWritten(reply, modified, `{"modified":${weaveTime(modified)},${lists}}`);
  }

  @Delete('storage/:collection')
  async deleteCollection(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @Query() query: RawQuery,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const target = { uid, collection, unmodifiedSince };
    const modified = await this.writer.deleteCollection(target, readIds(query));
    return sendWritten(reply, modified, modifiedJson(modified));
  }

  @Get('storage/:collection/:id')
  async get(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    const record = await this.reader.get(uid, collection, id);
    if (isUnchanged(conditions, record.modified)) {
      sendUnchanged(reply, record.modified);
      return undefined;
    }
    return sendJson(reply, record.modified, bsoJson(record));
  }

  @Put('storage/:collection/:id')
  async put(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Req() request: StorageRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    expectType(request);
    const change = readBso({ body: bodyOf(request), collection, id }, this.limits);
    const target = { uid, collection, unmodifiedSince };
    const { modified, room } = await this.writer.write(target, [change], { item: id });
    warnOfQuota(reply, room);
    return sendWritten(reply, modified, weaveTime(modified));
  }

  @Delete('storage/:collection/:id')
  async deleteRecord(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const modified = await this.writer.deleteRecord({ uid, collection, unmodifiedSince }, id);
    if (modified === undefined) throw new Failure('not-found', 'There is no such record.');
    return sendWritten(reply, modified, modifiedJson(modified));
  }

  /** Both of the paths that name the whole store; `X-Confirm-Delete` belongs to 1.1. */
  @Delete(['', 'storage'])
  async clear(
    @StorageUid() uid: number,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    return sendJson(reply, await this.writer.clear(uid, unmodifiedSince), '{}');
  }

  /** What a client says is coming can be refused before it is parsed. */
  private expectAnnouncedSize({ headers }: StorageRequest): void {
    const announced = [
      ['x-weave-records', this.limits.postRecords],
      ['x-weave-bytes', this.limits.postBytes],
      ['x-weave-total-records', this.config.limits.storageTotalRecordsMax],
      ['x-weave-total-bytes', this.config.limits.storageTotalBytesMax],
    ] as const;
    for (const [name, max] of announced) {
      const text = headers[name];
      if (text === undefined) continue;
      if (typeof text !== 'string' || !/^\d+$/.test(text)) {
        throw new Failure('invalid-parameter', `${name} is a whole number.`);
      }
      if (Number(text) > max) throw new Failure('size-limit', `${name} is more than ${max}.`);
    }
  }
}

const modifiedJson = (modified: Hundredths) => `{"modified":${weaveTime(modified)}}`;

const bodyOf = ({ body }: StorageRequest) => body ?? Buffer.alloc(0);

/** Firefox calls its JSON text/plain, and some clients call it nothing at all. */
function expectType(request: StorageRequest, ...more: string[]): string {
  const type = mediaType(request);
  if (!['', 'application/json', 'text/plain', ...more].includes(type)) {
    throw new Failure('unsupported-media-type', 'The body is JSON.');
  }
  return type;
}
