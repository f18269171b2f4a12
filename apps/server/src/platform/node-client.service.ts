import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Failure } from '#lib/protocol';
import { Config } from './config.ts';
import { NodeSignaturesService } from './node-signatures.service.ts';

const TYPE = 'application/json';
/** More than any call takes: the longest copies for some seconds, or digests a large collection. */
const PATIENCE_MS = 120_000;

/** Asks a node, or the front, below `/node/v1`. It may be this process; it is asked over HTTP. */
@Injectable()
export class NodeClientService {
  constructor(
    private readonly signatures: NodeSignaturesService,
    private readonly config: Config,
  ) {}

  /**
   * @param node - public address, without a slash at the end
   * @param path - below `/node/v1`
   * @throws Failure `conflict` and `not-found` as the node says, otherwise `unavailable`
   */
  async call<T>(
    node: string,
    [method, path]: readonly [method: 'GET' | 'POST' | 'PUT', path: string],
    schema: z.ZodType<T>,
    { body, ms = PATIENCE_MS }: { body?: unknown; ms?: number } = {},
  ): Promise<T> {
    const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body));
    const type = body === undefined ? '' : TYPE;
    const target = `/node/v1${path}`;
    const authorization = await this.signatures.sign(method, node + target, type, bytes);
    const isOwn = node === this.config.at('');
    const { status, text } = await send((isOwn ? this.config.internalUrl : node) + target, {
      method,
      headers: { authorization, ...(type !== '' && { 'content-type': type }) },
      ...(body !== undefined && { body: bytes }),
      redirect: 'error',
      signal: AbortSignal.timeout(ms),
    });
    if (status === 200) {
      const answer = schema.safeParse(parse(text));
      if (answer.success) return answer.data;
    }
    const said = Problem.safeParse(parse(text)).data?.detail ?? '';
    if (status === 409) throw new Failure('conflict', said);
    if (status === 404) throw new Failure('not-found', said);
    throw away(node, `it answered ${status} ${said}`.trim());
  }
}

const Problem = z.object({ detail: z.string() });

async function send(url: string, init: RequestInit): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, init);
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    throw away(new URL(url).origin, 'it cannot be reached', cause);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const away = (node: string, why: string, cause?: unknown) =>
  new Failure('unavailable', `The node ${node} is away: ${why}.`, {
    cause,
    headers: { 'retry-after': '10' },
  });
