import { Failure } from '#lib/protocol';

/** A second factor: a code of an authenticator, one of the codes on paper, a passkey. */
export type Factor = 'totp' | 'backup-code' | 'passkey';

/** A second factor that was given, and when. */
export interface GivenFactor {
  factor: Factor;
  factorAt: Date;
}

/** What a session goes by: when the password was given, and whether more than that. */
export interface Proofs {
  authAt: Date;
  /** Whether a second factor is still missing. */
  awaitsFactor: boolean;
  factor: Factor | null;
  factorAt: Date | null;
}

/** RFC 8176. Whether a passkey is in hardware nobody attests, so it is a `pop` and no `hwk`. */
const methods: Record<Factor, string> = { totp: 'otp', 'backup-code': 'otp', passkey: 'pop' };

/** How somebody authenticated, for `amr`. */
export const amrOf = (factor: Factor | null): string[] =>
  factor === null ? ['pwd'] : ['pwd', methods[factor], 'mfa'];

/** How sure that makes, in FxA's words. */
export const acrOf = (factor: Factor | null): 'AAL1' | 'AAL2' =>
  factor === null ? 'AAL1' : 'AAL2';

/** FxA's names for what verified a session. */
export const fxaMethod = (factor: Factor | null): string | null =>
  factor && { totp: 'totp-2fa', 'backup-code': 'recovery-code', passkey: 'passkey' }[factor];

/** Tells a client of FxA that a second factor is asked for. */
export const AWAITED = {
  emailVerified: true,
  sessionVerified: false,
  verificationMethod: 'totp-2fa',
  verificationReason: 'login',
} as const;

/** What somebody gave as second factor, if anything. */
export function givenIn(by: {
  factor: Factor | null;
  factorAt: Date | number | null;
}): GivenFactor | undefined {
  const { factor, factorAt } = by;
  if (factor === null || factorAt === null) return undefined;
  return { factor, factorAt: new Date(typeof factorAt === 'number' ? factorAt * 1000 : factorAt) };
}

/**
 * When somebody last proved all that the account wants proven: the password and, where it has one, the second
 * factor. Undefined when that was never given; a session may be older than the factor.
 */
export function provenAt(by: {
  authAt: number;
  factorAt: number | null;
  hasFactors: boolean;
}): number | undefined {
  const { authAt, factorAt, hasFactors } = by;
  if (!hasFactors) return authAt;
  return factorAt === null ? undefined : Math.min(authAt, factorAt);
}

/** For who must give a second factor first, or again. */
export const factorRequired = () =>
  new Failure('factor-required', 'The second factor must be given.');

/** Which of the two is missing before a session opens anything. */
export interface Verification {
  /** Whether the account's address is verified. */
  emailVerified: boolean;
  /** Whether that and, where the account has one, the second factor was given. */
  verified: boolean;
}

/** @throws Failure `unverified-account`, `unverified-session` */
export function expectVerified({ emailVerified, verified }: Verification): void {
  if (verified) return;
  throw emailVerified
    ? new Failure('unverified-session', 'The second factor was not given yet.')
    : new Failure('unverified-account', 'The address is not verified yet.');
}
