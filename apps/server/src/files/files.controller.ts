import { Readable } from 'node:stream';
import {
  Body,
  Controller,
  Delete,
  Get,
  Head,
  Header,
  Headers,
  HttpCode,
  Param,
  Put,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  Failure,
  FileGrant,
  type FilesConfig,
  type FilesUsage,
  RandomId,
  type StoredFile,
  Uid,
} from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { Config } from '../platform/config.ts';
import { isKnown } from '../platform/etags.ts';
import { readRange } from './byte-range.ts';
import type { FileEntity } from './file.entity.ts';
import { FilesService } from './files.service.ts';
import { readUpload } from './upload-claims.ts';

/** Cloud Storage: docs/protocol/files.md */
@Controller('files/v1')
export class FilesController {
  constructor(
    private readonly files: FilesService,
    private readonly config: Config,
  ) {}

  @Get('config')
  @Header('cache-control', 'public, max-age=3600')
  settings(): FilesConfig {
    const { filesFileBytesMax, filesQuotaBytes } = this.config.limits;
    return { max_file_bytes: filesFileBytesMax, quota_bytes: filesQuotaBytes };
  }

  @Put(':root/files/:id')
  @Requires('files', 'files:write')
  async put(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
    @Param('id', { schema: RandomId }) id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StoredFile> {
    const { filesFileBytesMax, filesIdleSeconds } = this.config.limits;
    const claims = readUpload(request.headers, filesFileBytesMax);
    const body = bodyOf(request);
    request.raw.setTimeout(filesIdleSeconds * 1000, () => request.raw.destroy());
    const { file, isNew } = await this.files
      .put(caller, { root, id }, claims, body)
      .finally(() => request.raw.setTimeout(0));
    void reply
      .status(isNew ? 201 : 200)
      .header('etag', `"${file.version}"`)
      .header('repr-digest', digestHeader(file.sha256));
    return file;
  }

  // Before GET: Fastify would answer HEAD from it, reading the file to its end.
  @Head(':root/files/:id')
  @Requires('files', 'files')
  async head(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
    @Param('id', { schema: RandomId }) id: string,
    @Headers() headers: Conditions,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const file = await this.files.find(caller, { root, id });
    describe(reply, file);
    if (isKnown(headers['if-none-match'], `"${file.version}"`)) void reply.status(304);
    else void reply.header('content-length', file.size);
    void reply.send();
  }

  @Get(':root/files/:id')
  @Requires('files', 'files')
  async get(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
    @Param('id', { schema: RandomId }) id: string,
    @Headers() headers: Conditions,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    // Between a look at the row and one at its blob, a writer may replace both: look again.
    for (let tries = 0; tries < 5; tries++) {
      const file = await this.files.find(caller, { root, id });
      const etag = `"${file.version}"`;
      if (isKnown(headers['if-none-match'], etag)) {
        describe(reply, file);
        void reply.status(304).send();
        return;
      }
      const isSameAsBefore = (headers['if-range'] ?? etag) === etag;
      const range = isSameAsBefore ? readRange(headers.range, file.size) : undefined;
      if (range === 'unsatisfiable') throw outOfRange(file.size);
      const stream = await this.files.open(file, range);
      if (!stream) continue;
      describe(reply, file);
      if (range) {
        void reply
          .status(206)
          .header('content-range', `bytes ${range.start}-${range.end}/${file.size}`);
      }
      const length = range ? range.end - range.start + 1 : file.size;
      void reply.header('content-length', length).send(stream);
      return;
    }
    throw new Failure('unavailable', 'The file is being replaced. Try again.');
  }

  @Delete(':root/files/:id')
  @HttpCode(204)
  @Requires('files', 'files:write')
  delete(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
    @Param('id', { schema: RandomId }) id: string,
    @Headers() headers: Conditions,
  ): Promise<void> {
    const ifMatch = headers['if-match'];
    return this.files.delete(caller, { root, id }, ifMatch === undefined ? undefined : { ifMatch });
  }

  @Get(':root/usage')
  @Header('cache-control', 'no-store')
  @Requires('files', 'files')
  usage(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
  ): Promise<FilesUsage> {
    return this.files.usage(caller, root);
  }

  @Put(':root/files/:id/grants/:uid')
  @HttpCode(204)
  @Requires('files', 'files:write')
  grant(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
    @Param('id', { schema: RandomId }) id: string,
    @Param('uid', { schema: Uid }) uid: string,
    @Body({ schema: FileGrant }) grant: FileGrant,
  ): Promise<void> {
    return this.files.grant(caller, { root, id, uid }, grant);
  }

  @Delete(':root/files/:id/grants/:uid')
  @HttpCode(204)
  @Requires('files', 'files:write')
  withdraw(
    @Caller() caller: Grant,
    @Param('root', { schema: Uid }) root: string,
    @Param('id', { schema: RandomId }) id: string,
    @Param('uid', { schema: Uid }) uid: string,
  ): Promise<void> {
    return this.files.withdraw(caller, { root, id, uid });
  }
}

interface Conditions {
  'if-match'?: string;
  'if-none-match'?: string;
  'if-range'?: string;
  range?: string;
}

/** The body as it arrives: see the content type that {@link FilesModule} registers. */
function bodyOf(request: FastifyRequest): Readable {
  if (request.body instanceof Readable) return request.body;
  throw new Failure('unsupported-media-type', 'A file is sent as application/octet-stream.');
}

/** What is said of a file whether or not its bytes follow; nothing that a browser would run. */
function describe(reply: FastifyReply, { version, sha256 }: FileEntity): void {
  void reply
    .type('application/octet-stream')
    .header('etag', `"${version}"`)
    .header('repr-digest', digestHeader(sha256))
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'private, no-cache')
    .header('content-disposition', 'attachment')
    .header('x-content-type-options', 'nosniff');
}

const outOfRange = (size: number) =>
  new Failure('range-not-satisfiable', `The file has ${size} bytes.`, {
    headers: { 'content-range': `bytes */${size}` },
  });

/** @see RFC 9530 §3 */
const digestHeader = (sha256: string) =>
  `sha-256=:${Buffer.from(sha256, 'base64url').toString('base64')}:`;
