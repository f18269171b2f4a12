import { Controller, Get, Headers, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Config } from '../platform/config.ts';
import { type Conditions, isUnchanged, RequestConditions } from './conditions.ts';
import { StorageGuard, StorageUid } from './storage.guard.ts';
import {
  type CollectionSummary,
  StorageReaderService,
  type StoreTime,
} from './storage-reader.service.ts';
import { negotiate, sendJson, sendMap, sendUnchanged } from './weave-reply.ts';
import { weaveTime } from './weave-time.ts';

/** Storage API 1.5, what there is in a store: docs/protocol/sync.md */
@Controller(['storage/1.5/:uid/info', '1.5/:uid/info'])
@UseGuards(StorageGuard)
export class InfoController {
  /** Never changes while the server runs. */
  private readonly limits: string;

  constructor(
    private readonly storage: StorageReaderService,
    private readonly config: Config,
  ) {
    const { limits } = config;
    this.limits = JSON.stringify({
      max_request_bytes: limits.storageRequestBytesMax,
      max_record_payload_bytes: limits.storagePayloadBytesMax,
      max_post_records: limits.storagePostRecordsMax,
      max_post_bytes: limits.storagePostBytesMax,
      max_total_records: limits.storageTotalRecordsMax,
      max_total_bytes: limits.storageTotalBytesMax,
      max_quota_limit: limits.storageQuotaBytes,
    });
  }

  @Get('collections')
  async collections(
    @StorageUid() uid: number,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    const { times, ...time } = await this.storage.collections(uid);
    return answer(reply, conditions, time, () =>
      sendMap(
        reply,
        time.modified,
        [...times].map(([name, time]) => [name, weaveTime(time)]),
      ),
    );
  }

  @Get('collection_counts')
  counts(
    @StorageUid() uid: number,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    return this.summarize(uid, conditions, reply, ({ records }) => String(records));
  }

  @Get('collection_usage')
  usage(
    @StorageUid() uid: number,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    return this.summarize(uid, conditions, reply, ({ bytes }) => String(bytes / 1024));
  }

  /** The limit is that of the store, if there is one; that of a collection is in the configuration. */
  @Get('quota')
  async quota(
    @StorageUid() uid: number,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    const { collections, ...time } = await this.storage.summaries(uid);
    const used = collections.reduce((sum, { bytes }) => sum + bytes, 0);
    return answer(reply, conditions, time, () =>
      sendJson(reply, time.modified, quotaJson(used, this.config.limits.storageUserQuotaBytes)),
    );
  }

  @Get('configuration')
  configuration(
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): string {
    negotiate(accept);
    return sendJson(reply, 0, this.limits);
  }

  private async summarize(
    uid: number,
    conditions: Conditions,
    reply: FastifyReply,
    toNumber: (summary: CollectionSummary) => string,
  ): Promise<string | undefined> {
    const { collections, ...time } = await this.storage.summaries(uid);
    return answer(reply, conditions, time, () =>
      sendMap(
        reply,
        time.modified,
        collections.map((summary) => [summary.collection, toNumber(summary)]),
      ),
    );
  }
}

function answer(
  reply: FastifyReply,
  conditions: Conditions,
  { modified, isShared }: StoreTime,
  send: () => string,
): string | undefined {
  const isUnsure = isShared && conditions.modifiedSince === modified;
  if (!isUnchanged(conditions, modified) || isUnsure) return send();
  sendUnchanged(reply, modified);
  return undefined;
}

/** KiB in use, and KiB that there may be. */
export const quotaJson = (used: number, limit: number | undefined): string =>
  JSON.stringify([used / 1024, limit === undefined ? null : limit / 1024]);
