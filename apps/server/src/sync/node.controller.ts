import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Put,
  UseGuards,
} from '@nestjs/common';
import {
  type CollectionDigest,
  type CopiedRecords,
  DigestQuery,
  type Manifest,
  ManifestQuery,
  type MissingRecords,
  type NodeCapacity,
  type NodeHealth,
  type Pulled,
  PullQuery,
  RecordsQuery,
  StoreChange,
  type StoreChanged,
  type StoreSummary,
  StoreUid,
} from '#lib/protocol';
import { NodeGuard } from '../platform/node.guard.ts';
import { NodeIdentityService } from './node-identity.service.ts';
import { StoreCopiesService } from './store-copies.service.ts';
import { GoneStoresService } from './gone-stores.service.ts';
import { StoreHoldsService } from './store-holds.service.ts';

/** What the front and other nodes ask of a storage node: docs/protocol/nodes.md */
@Controller('node/v1')
@UseGuards(NodeGuard)
export class NodeController {
  constructor(
    private readonly identity: NodeIdentityService,
    private readonly copies: StoreCopiesService,
    private readonly holds: StoreHoldsService,
    private readonly gone: GoneStoresService,
  ) {}

  @Get('health')
  @Header('cache-control', 'no-store')
  health(): Promise<NodeHealth> {
    return this.identity.show();
  }

  @Get('capacity')
  @Header('cache-control', 'no-store')
  capacity(): Promise<NodeCapacity> {
    return this.copies.capacity();
  }

  @Get('stores/:uid')
  @Header('cache-control', 'no-store')
  summary(@Param('uid', { schema: StoreUid }) uid: number): Promise<StoreSummary> {
    return this.copies.summary(uid);
  }

  @Put('stores/:uid')
  async change(
    @Param('uid', { schema: StoreUid }) uid: number,
    @Body({ schema: StoreChange }) change: StoreChange,
  ): Promise<StoreChanged> {
    const changed = await this.holds.change(uid, change);
    if (change.state === 'gone') this.gone.hurry();
    return changed;
  }

  @Post('stores/:uid/manifest')
  @HttpCode(200)
  manifest(
    @Param('uid', { schema: StoreUid }) uid: number,
    @Body({ schema: ManifestQuery }) query: ManifestQuery,
  ): Promise<Manifest> {
    return this.copies.manifest(uid, query);
  }

  @Post('stores/:uid/records')
  @HttpCode(200)
  records(
    @Param('uid', { schema: StoreUid }) uid: number,
    @Body({ schema: RecordsQuery }) query: RecordsQuery,
  ): Promise<CopiedRecords> {
    return this.copies.records(uid, query);
  }

  @Post('stores/:uid/missing')
  @HttpCode(200)
  missing(
    @Param('uid', { schema: StoreUid }) uid: number,
    @Body({ schema: RecordsQuery }) query: RecordsQuery,
  ): Promise<MissingRecords> {
    return this.copies.missing(uid, query);
  }

  @Post('stores/:uid/digest')
  @HttpCode(200)
  digest(
    @Param('uid', { schema: StoreUid }) uid: number,
    @Body({ schema: DigestQuery }) query: DigestQuery,
  ): Promise<CollectionDigest> {
    return this.copies.digest(uid, query);
  }

  @Post('stores/:uid/pull')
  @HttpCode(200)
  pull(
    @Param('uid', { schema: StoreUid }) uid: number,
    @Body({ schema: PullQuery }) { from }: PullQuery,
  ): Promise<Pulled> {
    return this.copies.pull(uid, from);
  }
}
