import { domainToASCII } from 'node:url';
import type { Config } from '../platform/config.ts';

/**
 * Why somebody may not sign up, by SIGN_UP; undefined when he may. That an address is on the list
 * does not verify it: who has only typed it has not shown that it is his.
 */
export function whyUnwelcome(
  { signUp, signUpAllowed }: Pick<Config, 'signUp' | 'signUpAllowed'>,
  email: string,
  hasInvitation: boolean,
): string | undefined {
  if (signUp === 'open') return undefined;
  if (signUp === 'closed') return 'Sign-up is closed.';
  if (hasInvitation) return undefined;
  if (signUp === 'invite') return 'Sign-up needs an invitation.';
  const address = normal(email);
  const domain = address.slice(address.lastIndexOf('@'));
  const isAllowed = signUpAllowed.some((one) => [address, domain].includes(normal(one)));
  return isAllowed ? undefined : 'Sign-up is for some addresses only. Ask who runs the server.';
}

/** In lower case, with the domain as the network spells it. */
function normal(email: string): string {
  const at = email.lastIndexOf('@');
  return `${email.slice(0, at).toLowerCase()}@${domainToASCII(email.slice(at + 1))}`;
}
