import type { IntegrityCode } from '#lib/client';

const ACCEPT = 'If they say that it is so: lockstep keys verify WHO --accept';

/** What a person can do about what did not pass a check. */
export const NEXT: Partial<Record<IntegrityCode, string>> = {
  IDENTITY_RESET: ACCEPT,
  IDENTITY_CHANGED: ACCEPT,
  IDENTITY_CONFLICT: ACCEPT,
  KEY_GENERATION_MISMATCH: 'See lockstep keys reset --help',
};

/** The profile of who names none. */
export const DEFAULT_PROFILE = 'default';

/** The command that signs in to this profile. */
export const signInBy = (profile: string): string =>
  [
    'lockstep',
    ...(profile === DEFAULT_PROFILE ? [] : ['--profile', profile]),
    'sign-in EMAIL',
  ].join(' ');
