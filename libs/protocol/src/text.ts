import { z } from 'zod';

/** An account's uid: 16 bytes as 32 lower-case hex digits. */
export const Uid = z.string().regex(/^[0-9a-f]{32}$/);
/** 32 bytes as lower-case hex, the form of FxA's secrets and ids. */
export const Hex32 = z.string().regex(/^[0-9a-f]{64}$/);
/** 16 bytes as base64url without padding: the id of a file, version, deposit or record. */
export const RandomId = z.string().regex(/^[A-Za-z0-9_-]{21}[AQgw]$/);
export const Base64Url = z.string().regex(/^[A-Za-z0-9_-]+$/);
/** An OAuth client_id. */
export const ClientId = z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/);
/** The realm: 16 random bytes, base64url, made at a server's first boot and never changed. */
export const Realm = RandomId;
