import { randomBytes } from 'node:crypto';
import { Failure, RandomId } from '#lib/protocol';
import { isMeant } from '../platform/etags.ts';

/** What the headers of an upload say about it. */
export interface UploadClaims {
  /** Chosen by the client, so that it can try again; by us for one that does not mean to. */
  version: string;
  /** Bytes; the HTTP parser holds the body to it. */
  size: number;
  /** base64url; undefined when the client does not say. */
  sha256: string | undefined;
  condition: Condition;
}

/** What must be there for a change to be made: nothing, or the version that If-Match names. */
export type Condition = { ifNoneMatch: '*' } | { ifMatch: string };

type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/**
 * Reads the headers of an upload.
 *
 * @param max - bytes that a file may have
 * @throws Failure `precondition-required`, `length-required`, `too-large`, `invalid-parameter`,
 *   `unsupported-media-type` for an encoded body
 */
export function readUpload(headers: RequestHeaders, max: number): UploadClaims {
  const condition = readCondition(headers);
  const length = one(headers, 'content-length');
  if (length === undefined || headers['transfer-encoding'] !== undefined) {
    throw new Failure('length-required', 'Say how long the body is in Content-Length.');
  }
  const size = Number(length);
  if (!(size <= max)) throw new Failure('too-large', `A file has at most ${max} bytes.`);
  if ((one(headers, 'content-encoding') ?? 'identity') !== 'identity') {
    throw new Failure('unsupported-media-type', 'Send the bytes as they are, not encoded.');
  }
  const version = one(headers, 'x-version-id') ?? randomBytes(16).toString('base64url');
  if (!RandomId.safeParse(version).success) {
    throw new Failure('invalid-parameter', 'X-Version-Id is 16 bytes in base64url.');
  }
  return { version, size, sha256: readDigest(one(headers, 'content-digest')), condition };
}

function readCondition(headers: RequestHeaders): Condition {
  const ifMatch = one(headers, 'if-match');
  const ifNoneMatch = one(headers, 'if-none-match')?.trim();
  if (ifMatch !== undefined && ifNoneMatch === undefined) return { ifMatch };
  if (ifMatch === undefined && ifNoneMatch === '*') return { ifNoneMatch };
  throw new Failure(
    'precondition-required',
    'Say If-None-Match: * for a new file, or If-Match with the version to replace.',
  );
}

/** Other algorithms are passed over, as RFC 9530 §2 has it. */
function readDigest(header: string | undefined): string | undefined {
  const claim = header?.split(',').find((item) => item.trim().startsWith('sha-256='));
  if (claim === undefined) return undefined;
  const digest = /^\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*$/.exec(claim)?.[1];
  if (digest === undefined) {
    throw new Failure('invalid-parameter', 'Content-Digest is sha-256=:<base64>:.');
  }
  return Buffer.from(digest, 'base64').toString('base64url');
}

function one(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/**
 * @param version - what is there now; undefined for nothing
 * @throws Failure `precondition-failed`
 */
export function expectCondition(condition: Condition, version: string | undefined): void {
  if ('ifNoneMatch' in condition) {
    if (version !== undefined) throw new Failure('precondition-failed', 'The file exists.');
  } else if (version === undefined || !isMeant(condition.ifMatch, `"${version}"`)) {
    throw new Failure('precondition-failed', 'The file is not of that version.');
  }
}
