/** What an app said at the authorization endpoint or, for a device, at its own; checked there. */
export type AppParams = Readonly<Record<string, unknown>>;

/** How a session came to be, in the words of OpenID Connect: what tokens say of the sign-in. */
export interface SignIn {
  /** Seconds since 1970. */
  ts: number;
  acr: string;
  amr: string[];
}

/** A parameter as text; empty for one that was not sent. */
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** What an account let an app do, by one answer. */
export interface Given {
  grantId: string;
  uid: string;
  signIn: SignIn;
  scopes: string[];
}
