import { z } from 'zod';
import { Hex32, Uid } from './text.ts';

/**
 * An address as people type it; compared without regard to case. None of the characters that mean
 * something in a mail's header: `<a@b>` would be mailed at `a@b`. In Unicode's form NFKC: a character
 * that only looks like another, as the Kelvin sign like a K, would be that other one in lower case,
 * and whoever has the one mailbox would verify the address of the other.
 */
export const Email = z
  .string()
  .max(256)
  .regex(
    /^[^\s@\p{C}<>()[\]\\,;:"]{1,64}@[^\s@\p{C}<>()[\]\\,;:"]{1,255}$/u,
    'Must be an address like name@example.org',
  )
  .refine((email) => email === email.normalize('NFKC'), 'Must be in Unicode form NFKC');

/** POST /auth/v1/account/create */
export const CreateAccount = z.object({
  email: Email,
  authPW: Hex32,
  /** An invitation issued for this address; it verifies the address at once. */
  invitation: z.string().max(128).optional(),
});
export type CreateAccount = z.infer<typeof CreateAccount>;

/** POST /auth/v1/account/login */
export const Login = z.object({
  email: Email,
  authPW: Hex32,
  originalLoginEmail: Email.optional(),
  reason: z.string().max(32).optional(),
});
export type Login = z.infer<typeof Login>;

/** The answer of account/create and account/login; `keyFetchToken` only with `?keys=true`. */
export const SignedIn = z.object({
  uid: Uid,
  sessionToken: Hex32,
  keyFetchToken: Hex32.optional(),
  /** Whether the address is verified: without it, keys and OAuth tokens are refused. */
  verified: z.boolean(),
  /** Seconds since 1970. */
  authAt: z.number().int(),
});
export type SignedIn = z.infer<typeof SignedIn>;

/** POST /auth/v1/account/status */
export const AskAccountStatus = z.object({ email: Email });
export type AskAccountStatus = z.infer<typeof AskAccountStatus>;

/** GET /auth/v1/account/keys: hex of ct | mac, 96 bytes. */
export const KeysBundle = z.object({ bundle: z.string().regex(/^[0-9a-f]{192}$/) });
export type KeysBundle = z.infer<typeof KeysBundle>;

/** POST /auth/v1/recovery_email/verify_code */
export const VerifyEmail = z.object({ uid: Uid, code: z.string().regex(/^[0-9a-f]{32}$/) });
export type VerifyEmail = z.infer<typeof VerifyEmail>;

/** GET /auth/v1/recovery_email/status */
export const EmailStatus = z.object({
  email: z.string(),
  verified: z.boolean(),
  emailVerified: z.boolean(),
  sessionVerified: z.boolean(),
});
export type EmailStatus = z.infer<typeof EmailStatus>;

/** POST /auth/v1/account/scoped-key-data */
export const AskScopedKeyData = z.object({ client_id: z.string(), scope: z.string().max(2048) });
export type AskScopedKeyData = z.infer<typeof AskScopedKeyData>;

/** One scope's inputs to its key; the key itself is derived by the client, from kB. */
export const ScopedKeyData = z.object({
  identifier: z.string(),
  keyRotationSecret: Hex32,
  /** Milliseconds since 1970: the account's keysChangedAt. */
  keyRotationTimestamp: z.number().int(),
});
export type ScopedKeyData = z.infer<typeof ScopedKeyData>;
export const ScopedKeyDataByScope = z.record(z.string(), ScopedKeyData);
export type ScopedKeyDataByScope = z.infer<typeof ScopedKeyDataByScope>;

/** An error of the FxA-style APIs. */
export const FxaError = z.object({
  code: z.number(),
  errno: z.number(),
  error: z.string(),
  message: z.string(),
});
export type FxaError = z.infer<typeof FxaError>;
