import { z } from 'zod';

/** What is noted of an account, in FxA's words where it has some. */
export const SecurityEventName = z.enum([
  'account.create',
  'account.login',
  'account.login.failure',
  'account.email_verified',
  'account.password_changed',
  'account.password_reset_requested',
  'account.password_reset',
  'account.recovery_key_added',
  'account.recovery_key_used',
  'account.recovery_key_removed',
  'account.two_factor_added',
  'account.two_factor_removed',
  'account.two_factor_challenge_failure',
  'account.passkey_added',
  'account.passkey_removed',
  'account.recovery_codes_replaced',
  'account.recovery_code_used',
  'device.connected',
  'device.removed',
  'session.ended',
  'app.connected',
  'app.revoked',
  'app.key_rotated',
]);
export type SecurityEventName = z.infer<typeof SecurityEventName>;

/** GET /auth/v1/securityEvents: an array of these, newest first, of at most 90 days. */
export const SecurityEvent = z.object({
  name: SecurityEventName,
  /** Milliseconds since 1970. */
  createdAt: z.number().int(),
  /** Whether the address was verified then. */
  verified: z.boolean(),
  /** The network, `203.0.113.0/24` or `2001:db8:1::/48`. */
  ipAddr: z.string().optional(),
  /** `Firefox on Linux` */
  userAgent: z.string().optional(),
});
export type SecurityEvent = z.infer<typeof SecurityEvent>;
