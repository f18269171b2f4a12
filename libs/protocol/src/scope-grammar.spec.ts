import { OLD_SYNC } from './scopes.ts';
import { scopesImply, scopesIn } from './scope-grammar.ts';

/** The table of accounts.md §7. */
it.each([
  ['profile:write', 'profile:email:write'],
  ['profile:write', 'profile'],
  ['profile', 'profile:email'],
  ['profile', 'profile'],
  ['profile:email:write', 'profile:email'],
  [OLD_SYNC, OLD_SYNC],
  [OLD_SYNC, `${OLD_SYNC}#read`],
  [OLD_SYNC, `${OLD_SYNC}/bookmarks`],
  [OLD_SYNC, `${OLD_SYNC}/bookmarks#read`],
  [`${OLD_SYNC}#read`, `${OLD_SYNC}/bookmarks#read`],
])('%s implies %s', (held, asked) => {
  expect(scopesImply([held], asked)).toBe(true);
  expect(scopesImply(['openid', held], asked)).toBe(true);
});

it.each([
  ['profile', 'profile:write'],
  ['profile:email:write', 'profile'],
  ['profile:email:write', 'profile:write'],
  ['profile:email', 'profile:display_name'],
  ['profile', 'profile:email:write'],
  ['profilebogey', 'profile'],
  ['profile', 'profilebogey'],
  ['https', OLD_SYNC],
  [OLD_SYNC, 'https'],
  [`${OLD_SYNC}#read`, OLD_SYNC],
  [`${OLD_SYNC}#read`, `${OLD_SYNC}/bookmarks`],
  [`${OLD_SYNC}#write`, `${OLD_SYNC}/bookmarks#read`],
  [`${OLD_SYNC}/bookmarks`, OLD_SYNC],
  [`${OLD_SYNC}er`, OLD_SYNC],
  [OLD_SYNC, `${OLD_SYNC}er`],
  ['https://identity.example.com/apps/oldsync', OLD_SYNC],
  ['https://identity.mozilla.com:444/apps/oldsync', OLD_SYNC],
])('%s does not imply %s', (held, asked) => {
  expect(scopesImply([held], asked)).toBe(false);
});

it.each([
  ['another scheme', 'http://identity.mozilla.com/apps/oldsync'],
  ['a user', 'https://me@identity.mozilla.com/apps/oldsync'],
  ['a query', `${OLD_SYNC}?a=b`],
  ['a default port', 'https://identity.mozilla.com:443/apps/oldsync'],
  ['upper case in the host', 'https://Identity.mozilla.com/apps/oldsync'],
  ['a path that is not resolved', 'https://identity.mozilla.com/other/../apps/oldsync'],
  ['an odd fragment', `${OLD_SYNC}#re-ad`],
  ['an empty fragment', `${OLD_SYNC}#`],
  ['an empty part', 'profile:'],
  ['a sign', 'pro-file'],
])('a scope with %s is none, and implies not even itself', (_, scope) => {
  expect(scopesImply([scope], scope)).toBe(false);
});

it('reads a list, however it is spaced', () => {
  expect(scopesIn(' profile  openid profile ')).toEqual(['profile', 'openid']);
  expect(scopesIn('')).toEqual([]);
});
