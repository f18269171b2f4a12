import { z } from 'zod';

/** What an account has as second factors. */
export const Factors = z.object({
  /** An authenticator that was proven. */
  totp: z.boolean(),
  passkeys: z.number().int(),
  /** Those that are left. */
  backupCodes: z.number().int(),
});
export type Factors = z.infer<typeof Factors>;

/** POST /auth/v1/totp/create: what an authenticator learns, once. */
export const TotpCreated = z.object({
  /** `data:image/svg+xml;…`, a QR code of `otpauthUrl`. */
  qrCodeUrl: z.string(),
  otpauthUrl: z.string(),
  /** 20 bytes in base32, without padding. */
  secret: z.string().regex(/^[A-Z2-7]{32}$/),
});
export type TotpCreated = z.infer<typeof TotpCreated>;

/** POST /auth/v1/session/verify/totp and totp/verify: six digits. */
export const GiveTotp = z.object({ code: z.string().regex(/^\d{6}$/) });
export type GiveTotp = z.infer<typeof GiveTotp>;

/** Ten of ten letters and digits each, in the spelling that people copy: `ABCDE-FGHJK`. */
export const BackupCodes = z.object({ recoveryCodes: z.array(z.string()) });
export type BackupCodes = z.infer<typeof BackupCodes>;

/** The answer; the codes come with the proof that turns the first factor on. */
export const TotpGiven = z.object({
  success: z.literal(true),
  recoveryCodes: z.array(z.string()).optional(),
});
export type TotpGiven = z.infer<typeof TotpGiven>;

/** POST /auth/v1/session/verify/recoveryCode and totp/verify/recoveryCode; however it is spelled. */
export const GiveBackupCode = z.object({ code: z.string().min(10).max(32) });
export type GiveBackupCode = z.infer<typeof GiveBackupCode>;

/** Its answer: how many are left. */
export const BackupCodeGiven = z.object({ remaining: z.number().int() });
export type BackupCodeGiven = z.infer<typeof BackupCodeGiven>;

const Base64UrlText = z
  .string()
  .max(16_384)
  .regex(/^[A-Za-z0-9_-]+$/);

const credential = {
  id: Base64UrlText.max(1400),
  rawId: Base64UrlText.max(1400),
  type: z.literal('public-key'),
  clientExtensionResults: z.object({}).default({}),
};

/** What a browser answers to a registration (WebAuthn level 3 §5.1, RegistrationResponseJSON). */
export const RegisterPasskey = z.object({
  name: z
    .string()
    .trim()
    .min(1)
    .max(64)
    .regex(/^\P{C}*$/u),
  response: z.object({
    ...credential,
    response: z.object({
      clientDataJSON: Base64UrlText,
      attestationObject: Base64UrlText,
      transports: z.array(z.string().max(32)).max(10).default([]),
    }),
  }),
});
export type RegisterPasskey = z.infer<typeof RegisterPasskey>;

/** What a browser answers when a passkey is asked for (AuthenticationResponseJSON). */
export const GivePasskey = z.object({
  response: z.object({
    ...credential,
    response: z.object({
      clientDataJSON: Base64UrlText,
      authenticatorData: Base64UrlText,
      signature: Base64UrlText,
      userHandle: Base64UrlText.optional(),
    }),
  }),
});
export type GivePasskey = z.infer<typeof GivePasskey>;

/** A credential's id, as its authenticator chose it. */
export const PasskeyId = Base64UrlText.max(1400);

/** POST /auth/v1/passkey/rename */
export const RenamePasskey = RegisterPasskey.pick({ name: true }).extend({
  credentialId: PasskeyId,
});
export type RenamePasskey = z.infer<typeof RenamePasskey>;

/** One of GET /auth/v1/passkeys. Times in milliseconds since 1970. */
export const Passkey = z.object({
  credentialId: z.string(),
  name: z.string(),
  createdAt: z.number().int(),
  lastUsedAt: z.number().int().nullable(),
  /** Whether its maker copies it to other devices. */
  isSynced: z.boolean(),
});
export type Passkey = z.infer<typeof Passkey>;

/** POST /auth/v1/passkey/registration/finish: the codes come with an account's first factor. */
export const PasskeyRegistered = Passkey.extend({ recoveryCodes: z.array(z.string()).optional() });
export type PasskeyRegistered = z.infer<typeof PasskeyRegistered>;
