import { Controller, Get, Headers, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Config } from '../platform/config.ts';
import { type Conditions, isUnchanged, RequestConditions } from './conditions.ts';
import { StorageGuard, StorageUid } from './storage.guard.ts';
import { type CollectionSummary, StorageService } from './storage.service.ts';
import { negotiate, sendJson, sendMap, sendUnchanged } from './weave-reply.ts';
import { type Hundredths, weaveTime } from './weave-time.ts';

/** Storage API 1.5, what there is in a store: docs/protocol/sync.md */
@Controller(['storage/1.5/:uid/info', '1.5/:uid/info'])
@UseGuards(StorageGuard)
export class InfoController {
  constructor(
    private readonly storage: StorageService,
    private readonly config: Config,
  ) {}

  @Get('collections')
  async collections(
    @StorageUid() uid: number,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    const { modified, times } = await this.storage.collections(uid);
    return answer(reply, conditions, modified, () =>
      sendMap(
        reply,
        modified,
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

  /** The limit is on each collection, so the store as a whole has none. */
  @Get('quota')
  async quota(
    @StorageUid() uid: number,
    @RequestConditions() conditions: Conditions,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    negotiate(accept);
    const { modified, collections } = await this.storage.summaries(uid);
    const used = collections.reduce((sum, { bytes }) => sum + bytes, 0);
    return answer(reply, conditions, modified, () =>
      sendJson(reply, modified, `[${used / 1024},null]`),
    );
  }

  @Get('configuration')
  configuration(
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): string {
    negotiate(accept);
    const { limits } = this.config;
    const json = JSON.stringify({
      max_request_bytes: limits.storageRequestBytesMax,
      max_record_payload_bytes: limits.storagePayloadBytesMax,
      max_post_records: limits.storagePostRecordsMax,
      max_post_bytes: limits.storagePostBytesMax,
      max_quota_limit: limits.storageQuotaBytes,
    });
    return sendJson(reply, 0, json);
  }

  private async summarize(
    uid: number,
    conditions: Conditions,
    reply: FastifyReply,
    toNumber: (summary: CollectionSummary) => string,
  ): Promise<string | undefined> {
    const { modified, collections } = await this.storage.summaries(uid);
    return answer(reply, conditions, modified, () =>
      sendMap(
        reply,
        modified,
        collections.map((summary) => [summary.collection, toNumber(summary)]),
      ),
    );
  }
}

function answer(
  reply: FastifyReply,
  conditions: Conditions,
  modified: Hundredths,
  send: () => string,
): string | undefined {
  if (!isUnchanged(conditions, modified)) return send();
  sendUnchanged(reply, modified);
  return undefined;
}
