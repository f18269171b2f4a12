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
import { expectNoBatch, type RawQuery, readIds, readListQuery, toOffset } from './list-query.ts';
import { mediaType, type StorageRequest } from './raw-requests.ts';
import { CollectionName, RecordId } from './storage-names.ts';
import { StorageGuard, StorageUid } from './storage.guard.ts';
import { StorageService } from './storage.service.ts';
import {
  bsoJson,
  negotiate,
  sendJson,
  sendList,
  sendUnchanged,
  sendWritten,
} from './weave-reply.ts';
import { type Hundredths, weaveTime } from './weave-time.ts';

/** From this many bytes below the quota on, writers are told what is left. */
const QUOTA_WARNING_BYTES = 1024 * 1024;

/** Storage API 1.5, the records: docs/protocol/sync.md */
@Controller(['storage/1.5/:uid', '1.5/:uid'])
@UseGuards(StorageGuard)
export class StorageController {
  private readonly limits: UploadLimits;

  constructor(
    private readonly storage: StorageService,
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
  ): Promise<string | undefined> {
    const format = negotiate(accept);
    const query = readListQuery(raw, this.config.limits.storagePageRecordsMax);
    const page = await this.storage.list(uid, collection, query, conditions.modifiedSince);
    // A writer that is not done yet gets a time later than this one. The clock is later still, and
    // who took it for a cursor would miss that write.
    void reply.header('x-weave-timestamp', weaveTime(page.modified));
    if (isUnchanged(conditions, page.modified)) {
      sendUnchanged(reply, page.modified);
      return undefined;
    }
    if (page.next) void reply.header('x-weave-next-offset', toOffset(page.next, query.sort));
    const values = page.records.map((row) => (query.full ? bsoJson(row) : JSON.stringify(row.id)));
    return sendList(reply, page.modified, values, format);
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
    expectNoBatch(query);
    this.expectAnnouncedSize(request);
    const isLines = expectType(request, 'application/newlines') === 'application/newlines';
    const body = { body: bodyOf(request), collection, isLines };
    const { changes, failed } = readBsos(body, this.limits);
    const written = await this.storage.write({ uid, collection, unmodifiedSince }, changes);
    this.warnOfQuota(reply, written.bytes);
    const success = JSON.stringify(changes.map(({ id }) => id));
    const reasons = JSON.stringify(Object.fromEntries(failed));
    const modified = weaveTime(written.modified);
    const json = `{"modified":${modified},"success":${success},"failed":${reasons}}`;
    return sendWritten(reply, written.modified, json);
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
    const modified = await this.storage.deleteCollection(target, readIds(query));
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
    const record = await this.storage.get(uid, collection, id);
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
    const written = await this.storage.write({ uid, collection, unmodifiedSince }, [change], id);
    this.warnOfQuota(reply, written.bytes);
    return sendWritten(reply, written.modified, weaveTime(written.modified));
  }

  @Delete('storage/:collection/:id')
  async deleteRecord(
    @StorageUid() uid: number,
    @CollectionName() collection: string,
    @RecordId() id: string,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const modified = await this.storage.deleteRecord({ uid, collection, unmodifiedSince }, id);
    return sendWritten(reply, modified, modifiedJson(modified));
  }

  /** Both of the paths that name the whole store; `X-Confirm-Delete` belongs to 1.1. */
  @Delete(['', 'storage'])
  async clear(
    @StorageUid() uid: number,
    @RequestConditions() { unmodifiedSince }: Conditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    return sendJson(reply, await this.storage.clear(uid, unmodifiedSince), '{}');
  }

  private warnOfQuota(reply: FastifyReply, bytes: number): void {
    const left = this.config.limits.storageQuotaBytes - bytes;
    if (left >= QUOTA_WARNING_BYTES) return;
    void reply.header('x-weave-quota-remaining', (Math.max(0, left) / 1024).toFixed(2));
  }

  /** What a client says is coming can be refused before it is parsed. */
  private expectAnnouncedSize({ headers }: StorageRequest): void {
    const announced = [
      ['x-weave-records', this.limits.postRecords],
      ['x-weave-bytes', this.limits.postBytes],
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
