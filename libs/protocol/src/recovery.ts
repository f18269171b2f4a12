import { z } from 'zod';
import { Email, hasWholeV2, KeyFetch, newPassword, WHOLE_V2 } from './accounts.ts';
import { Hex32, Uid } from './text.ts';

/** POST /auth/v1/password/change/start; `oldAuthPW` by either stretching. */
export const StartPasswordChange = z.object({ email: Email, oldAuthPW: Hex32 });
export type StartPasswordChange = z.infer<typeof StartPasswordChange>;

/** Its answer: the keys by the stretching that the old password came by, and leave to set a new one. */
export const PasswordChangeStarted = KeyFetch.extend({
  passwordChangeToken: Hex32,
  verified: z.boolean(),
});
export type PasswordChangeStarted = z.infer<typeof PasswordChangeStarted>;

/** POST /auth/v1/password/change/finish: the new password, and the kB that the account keeps. */
export const FinishPasswordChange = z
  .object({
    ...newPassword,
    wrapKb: Hex32,
    /** The token id of a session that stays. */
    sessionToken: Hex32.optional(),
  })
  .refine(hasWholeV2, { message: WHOLE_V2 });
export type FinishPasswordChange = z.infer<typeof FinishPasswordChange>;

/** POST /auth/v1/password/forgot/send_otp and password/forgot/send_code */
export const ForgotPassword = z.object({ email: Email });
export type ForgotPassword = z.infer<typeof ForgotPassword>;

/** POST /auth/v1/password/forgot/verify_otp: the eight digits that were mailed. */
export const VerifyForgotOtp = z.object({ email: Email, code: z.string().regex(/^\d{8}$/) });
export type VerifyForgotOtp = z.infer<typeof VerifyForgotOtp>;

/** Its answer: a passwordForgotToken, and the code that it exchanges for an accountResetToken. */
export const ForgotOtpVerified = z.object({
  token: Hex32,
  code: z.string(),
  uid: Uid,
  /** The spelling of sign-up: v1 stretches the new password with it. */
  emailToHashWith: z.string(),
});
export type ForgotOtpVerified = z.infer<typeof ForgotOtpVerified>;

/** The answer of password/forgot/send_code and resend_code. */
export const ForgotCodeSent = z.object({
  passwordForgotToken: Hex32,
  /** Seconds. */
  ttl: z.number().int(),
  /** Of the mailed code, in hex digits. */
  codeLength: z.number().int(),
  tries: z.number().int(),
});
export type ForgotCodeSent = z.infer<typeof ForgotCodeSent>;

/** GET /auth/v1/password/forgot/status */
export const ForgotStatus = ForgotCodeSent.pick({ ttl: true, tries: true });
export type ForgotStatus = z.infer<typeof ForgotStatus>;

/** POST /auth/v1/password/forgot/verify_code */
export const VerifyForgotCode = z.object({ code: z.string().regex(/^[0-9a-f]{32}$/) });
export type VerifyForgotCode = z.infer<typeof VerifyForgotCode>;

/** Its answer. */
export const ForgotCodeVerified = z.object({ accountResetToken: Hex32 });
export type ForgotCodeVerified = z.infer<typeof ForgotCodeVerified>;

/** 16 bytes in hex: what the server knows a recovery key by. */
export const RecoveryKeyId = z.string().regex(/^[0-9a-f]{32}$/);

/**
 * POST /auth/v1/account/reset. With `recoveryKeyId` the account keeps its kB, in `wrapKb`. Without,
 * it gets a new one: of the client's making when v2 is set, else of the server's.
 */
export const ResetAccount = z
  .object({
    ...newPassword,
    recoveryKeyId: RecoveryKeyId.optional(),
    /** Whether to sign in, too. */
    sessionToken: z.boolean().optional(),
  })
  .refine(hasWholeV2, { message: WHOLE_V2 })
  .refine(
    ({ wrapKb, recoveryKeyId, clientSalt }) =>
      (wrapKb !== undefined) === (recoveryKeyId !== undefined || clientSalt !== undefined),
    { message: 'wrapKb comes with recoveryKeyId or with v2, and they with it' },
  );
export type ResetAccount = z.infer<typeof ResetAccount>;

/** POST /auth/v1/recoveryKey */
export const CreateRecoveryKey = z
  .object({
    recoveryKeyId: RecoveryKeyId,
    /** Compact JWE: kB under the recovery key. */
    recoveryData: z
      .string()
      .max(1024)
      .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$/),
    /** False until the person showed, by recoveryKey/verify, that they have it. */
    enabled: z.boolean().default(true),
    /** Whether it may take the place of the one there is. */
    replaceKey: z.boolean().default(false),
  })
  .refine(({ enabled, replaceKey }) => enabled || !replaceKey, {
    message: 'A key that works is not replaced by one that was not shown to',
  });
export type CreateRecoveryKey = z.infer<typeof CreateRecoveryKey>;

/** POST /auth/v1/recoveryKey/verify */
export const VerifyRecoveryKey = z.object({ recoveryKeyId: RecoveryKeyId });
export type VerifyRecoveryKey = z.infer<typeof VerifyRecoveryKey>;

/** GET /auth/v1/recoveryKey/:id */
export const RecoveryData = z.object({ recoveryData: z.string() });
export type RecoveryData = z.infer<typeof RecoveryData>;

/** POST /auth/v1/recoveryKey/hint; the GET's `hint` may be null. */
export const RecoveryKeyHint = z.object({
  hint: z
    .string()
    .max(255)
    .regex(/^\P{C}*$/u),
});
export type RecoveryKeyHint = z.infer<typeof RecoveryKeyHint>;

/** POST /auth/v1/account/destroy; `authPW` by either stretching. */
export const DestroyAccount = z.object({ email: Email, authPW: Hex32 });
export type DestroyAccount = z.infer<typeof DestroyAccount>;
