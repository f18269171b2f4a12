import { z } from 'zod';

/** GET /profile/v1/profile: each member for a scope of its own, `profile` for all. */
export const Profile = z.object({
  uid: z.string().optional(),
  email: z.string().optional(),
  /** How the person signed in. */
  amrValues: z.array(z.string()).optional(),
  twoFactorAuthentication: z.boolean().optional(),
  displayName: z.string().optional(),
  /** Address of a picture; there always is one. */
  avatar: z.string().optional(),
  /** Whether it is the same for everybody who has none. */
  avatarDefault: z.boolean().optional(),
  /** The uid again, for the scope `openid`. */
  sub: z.string().optional(),
});
export type Profile = z.infer<typeof Profile>;

/** Control characters, lone surrogates, private use, and what turns the direction of the text. */
const UNSHOWABLE = /[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufff9-\ufffc]/u;

/** POST /profile/v1/display_name: up to 256 UTF-16 units; an empty one takes the name away. */
export const DisplayName = z.object({
  displayName: z
    .string()
    .max(256)
    .refine((name) => !UNSHOWABLE.test(name), 'Must be text that can be shown')
    .transform((name) => name.trim().normalize('NFC')),
});
export type DisplayName = z.infer<typeof DisplayName>;

/** GET /profile/v1/avatar, and the answer to an upload. */
export const Avatar = z.object({
  id: z.string(),
  url: z.string(),
  /** The same address, as older clients call it. */
  avatar: z.string(),
  avatarDefault: z.boolean(),
});
export type Avatar = z.infer<typeof Avatar>;

/** Bytes that an uploaded picture may have. */
export const AVATAR_BYTES_MAX = 262_144;
