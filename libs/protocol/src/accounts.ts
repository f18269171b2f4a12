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

/** What v2 stretches a password with: its label, then 16 random bytes in hex. */
export const ClientSalt = z
  .string()
  .regex(/^identity\.mozilla\.com\/picl\/v1\/quickStretchV2:[0-9a-f]{32}$/);

/**
 * A password as the server learns it. `wrapKb` brings the account's kB along; without it the server
 * makes a new one. What v2 stretches to comes whole or not at all, and opens the same kB.
 */
export const newPassword = {
  authPW: Hex32,
  /** kB XOR what v1 stretches to. */
  wrapKb: Hex32.optional(),
  authPWVersion2: Hex32.optional(),
  /** kB XOR what v2 stretches to. */
  wrapKbVersion2: Hex32.optional(),
  clientSalt: ClientSalt.optional(),
};
export type NewPassword = z.infer<z.ZodObject<typeof newPassword>>;

/** Whether v2 is there whole, with `wrapKb`, or not at all. */
export const hasWholeV2 = (password: NewPassword): boolean => {
  const { authPWVersion2, wrapKbVersion2, clientSalt, wrapKb } = password;
  const parts = [authPWVersion2, wrapKbVersion2, clientSalt];
  return parts.every((part) => part === undefined)
    ? true
    : wrapKb !== undefined && parts.every((part) => part !== undefined);
};
export const WHOLE_V2 = 'authPWVersion2, wrapKb, wrapKbVersion2 and clientSalt come together';

/** POST /auth/v1/account/create: `wrapKb` only with the other three of v2. */
export const CreateAccount = z
  .object({
    ...newPassword,
    email: Email,
    /** An invitation issued for this address; it verifies the address at once. */
    invitation: z.string().max(128).optional(),
  })
  .refine((asked) => hasWholeV2(asked) && (asked.wrapKb === undefined) === !asked.clientSalt, {
    message: WHOLE_V2,
  });
export type CreateAccount = z.infer<typeof CreateAccount>;

/** POST /auth/v1/account/login and session/reauth; `authPW` by either stretching. */
export const Login = z.object({
  email: Email,
  authPW: Hex32,
  originalLoginEmail: Email.optional(),
  reason: z.string().max(32).optional(),
  /** `totp-2fa`: refused unless the account has a second factor. */
  verificationMethod: z.string().max(32).optional(),
  /** That was mailed because the sign-in is locked. */
  unblockCode: z.string().max(16).optional(),
});
export type Login = z.infer<typeof Login>;

/** A fetch of the keys, by the stretching that the password came by; only with `?keys=true`. */
export const KeyFetch = z.object({
  keyFetchToken: Hex32.optional(),
  /** Its bundle holds `wrapKbVersion2`. */
  keyFetchTokenVersion2: Hex32.optional(),
});
export type KeyFetch = z.infer<typeof KeyFetch>;

/** The answer of account/create, account/login, password/change/finish and account/reset. */
export const SignedIn = KeyFetch.extend({
  uid: Uid,
  sessionToken: Hex32,
  /**
   * Whether the address is verified and the second factor was given, if there is one: without that,
   * keys and OAuth tokens are refused.
   */
  verified: z.boolean(),
  emailVerified: z.boolean().optional(),
  sessionVerified: z.boolean().optional(),
  /** `totp-2fa`: a second factor is asked for, and the session opens nothing before. */
  verificationMethod: z.string().optional(),
  verificationReason: z.string().optional(),
  /** Seconds since 1970. */
  authAt: z.number().int(),
});
export type SignedIn = z.infer<typeof SignedIn>;

/** The answer of session/reauth: no new session. */
export const Reauthenticated = SignedIn.omit({ sessionToken: true });
export type Reauthenticated = z.infer<typeof Reauthenticated>;

/** POST /auth/v1/account/credentials/status */
export const AskCredentialsStatus = z.object({ email: Email });
export type AskCredentialsStatus = z.infer<typeof AskCredentialsStatus>;

/** Which stretching to sign in by. Addresses that nobody has get an answer of the same looks. */
export const CredentialsStatus = z.object({
  currentVersion: z.enum(['v1', 'v2']),
  /** With v2. */
  clientSalt: ClientSalt.optional(),
  /** Whether the same password should be set again, by v2. */
  upgradeNeeded: z.boolean(),
});
export type CredentialsStatus = z.infer<typeof CredentialsStatus>;

/** GET /auth/v1/account: what the settings page shows. Times in milliseconds since 1970. */
export const AccountSettings = z.object({
  uid: Uid,
  email: z.string(),
  emails: z.array(z.object({ email: z.string(), isPrimary: z.boolean(), verified: z.boolean() })),
  emailVerified: z.boolean(),
  createdAt: z.number().int(),
  passwordCreatedAt: z.number().int(),
  hasPassword: z.boolean(),
  credentialsVersion: z.enum(['v1', 'v2']),
});
export type AccountSettings = z.infer<typeof AccountSettings>;

/** POST /auth/v1/session/destroy: another session of the account by its token id. */
export const DestroySession = z.object({ customSessionToken: Hex32.optional() }).optional();
export type DestroySession = z.infer<typeof DestroySession>;

/** POST /auth/v1/session/verify_code */
export const VerifySessionCode = z.object({ code: z.string().regex(/^\d{6}$/) });
export type VerifySessionCode = z.infer<typeof VerifySessionCode>;

/** POST /auth/v1/account/login/send_unblock_code */
export const AskUnblockCode = z.object({ email: Email });
export type AskUnblockCode = z.infer<typeof AskUnblockCode>;

/** POST /auth/v1/account/login/reject_unblock_code */
export const RejectUnblockCode = z.object({ uid: Uid, unblockCode: z.string().max(16) });
export type RejectUnblockCode = z.infer<typeof RejectUnblockCode>;

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
  /** With a session that awaits a second factor. */
  verificationMethod: z.string().optional(),
  verificationReason: z.string().optional(),
});
export type EmailStatus = z.infer<typeof EmailStatus>;

/** GET /auth/v1/session/status */
export const SessionStatus = z.object({
  state: z.enum(['verified', 'unverified']),
  uid: Uid,
  details: z.object({
    accountEmailVerified: z.boolean(),
    /** `totp-2fa`, `recovery-code` or `passkey`: what was given as second factor. */
    sessionVerificationMethod: z.string().nullable(),
    sessionVerified: z.boolean(),
    /** Whether it was given, if the account has one. */
    sessionVerificationMeetsMinimumAAL: z.boolean(),
  }),
  /** With a session that awaits a second factor. */
  verificationMethod: z.string().optional(),
  verificationReason: z.string().optional(),
});
export type SessionStatus = z.infer<typeof SessionStatus>;

/** POST /auth/v1/account/scoped-key-data */
export const AskScopedKeyData = z.object({ client_id: z.string(), scope: z.string().max(2048) });
export type AskScopedKeyData = z.infer<typeof AskScopedKeyData>;

/** One scope's inputs to its key; the key itself is derived by the client, from kB. */
export const ScopedKeyData = z.object({
  identifier: z.string(),
  /** Zeros until the key is rotated. */
  keyRotationSecret: Hex32,
  /** Milliseconds since 1970: when the key last became another. */
  keyRotationTimestamp: z.number().int(),
  /** The key before, while a device hands over what was under it. */
  former: z.object({ keyRotationSecret: Hex32, keyRotationTimestamp: z.number().int() }).optional(),
});
export type ScopedKeyData = z.infer<typeof ScopedKeyData>;
export const ScopedKeyDataByScope = z.record(z.string(), ScopedKeyData);
export type ScopedKeyDataByScope = z.infer<typeof ScopedKeyDataByScope>;

/** POST /auth/v1/account/scoped-key/rotate: a {@link ScopedKeyData} with `former`. */
export const RotateScopedKey = z.object({ client_id: z.string() });
export type RotateScopedKey = z.infer<typeof RotateScopedKey>;

/** POST /auth/v1/account/scoped-key/rotated: everything is under the key of that time. */
export const RotatedScopedKey = z.object({
  client_id: z.string(),
  keyRotationTimestamp: z.number().int(),
});
export type RotatedScopedKey = z.infer<typeof RotatedScopedKey>;

/** An error of the FxA-style APIs. */
export const FxaError = z.object({
  code: z.number(),
  errno: z.number(),
  error: z.string(),
  message: z.string(),
});
export type FxaError = z.infer<typeof FxaError>;
