import { signal } from '@preact/signals';
import { z } from 'zod';
import { Hex32, Uid } from '#lib/protocol';
import { bearing, http, post } from './server.ts';

const Session = z.object({
  uid: Uid,
  email: z.string(),
  sessionToken: Hex32,
  /** Whether the Firefox around this page has the same session: what ends here, ends there. */
  firefox: z.boolean().optional(),
});
/** Who is signed in on these pages. It opens no data: kB and the password are never kept. */
export type Session = z.infer<typeof Session>;

// Of this tab, until it is closed. localStorage would leave it behind on a borrowed computer, and share it
// with every tab; a cookie would be sent with requests that other sites cause.
const PLACE = 'session';

function kept(): Session | undefined {
  try {
    return Session.parse(JSON.parse(sessionStorage.getItem(PLACE) ?? ''));
  } catch {
    return undefined;
  }
}

/** Who is signed in; undefined for nobody. */
export const session = signal<Session | undefined>(kept());

/** Signs in on these pages. */
export function keepSession(found: Session): void {
  session.value = Session.parse(found); // nothing else of what an opened account holds
  sessionStorage.setItem(PLACE, JSON.stringify(session.value));
}

/** Forgets the session here; the server is not told. */
export function forgetSession(): void {
  sessionStorage.removeItem(PLACE);
  session.value = undefined;
}

/** The headers of the session's calls. */
export const bySession = ({ sessionToken }: Pick<Session, 'sessionToken'>) =>
  bearing('sessionToken', sessionToken);

/** Ends a session on the server. What it granted to apps ends with it. */
export function endSession(ended: Pick<Session, 'sessionToken'>): Promise<unknown> {
  return http.run(post('session/destroy', {}, bySession(ended)));
}
