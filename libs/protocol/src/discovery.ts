import { z } from 'zod';
import { Realm } from './text.ts';

/** GET /.well-known/lockstep: what a client needs to know before it signs in. */
export const ServerDescription = z.object({
  name: z.literal('lockstep'),
  version: z.string(),
  realm: Realm,
});
export type ServerDescription = z.infer<typeof ServerDescription>;
