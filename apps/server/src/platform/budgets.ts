import { z } from 'zod';

/** So many in so many seconds. */
export interface Budget {
  count: number;
  seconds: number;
}

/**
 * What may be done how often, by `<what>.<counted on>`: on the `client` (an IPv4 address, or an IPv6
 * network of /64), on the `account` (a uid, or an address whether or not somebody has it), or on the
 * `pair` of both; on an `app`, for all of its users. Roomy for a household behind one address, and for
 * a hundred people who come by and by.
 */
const defaults = {
  'sign-up.client': { count: 30, seconds: 3600 },
  'status.client': { count: 30, seconds: 900 },
  // Wrong passwords alone. What waits longer each time is said in limits/limits.service.ts.
  'login.client': { count: 50, seconds: 600 },
  'login.pair': { count: 5, seconds: 300 },
  'login.account': { count: 50, seconds: 3600 },
  'reset.client': { count: 20, seconds: 3600 },
  'reset.pair': { count: 5, seconds: 3600 },
  'reset.account': { count: 20, seconds: 3600 },
  'mail.client': { count: 30, seconds: 3600 },
  'mail.pair': { count: 6, seconds: 3600 },
  'mail.account': { count: 30, seconds: 3600 },
  // Wrong codes alone.
  'guess.client': { count: 30, seconds: 3600 },
  'guess.pair': { count: 10, seconds: 3600 },
  'guess.account': { count: 100, seconds: 3600 },
  // Wrong six digits of an authenticator, by who has the password, or the mail.
  'factor.client': { count: 30, seconds: 3600 },
  'factor.account': { count: 10, seconds: 900 },
  'authorize.client': { count: 600, seconds: 600 },
  'authorize.account': { count: 300, seconds: 3600 },
  'device.client': { count: 120, seconds: 3600 },
  // Registrations of apps, and changes of them.
  'app.client': { count: 20, seconds: 86_400 },
  'app.account': { count: 10, seconds: 86_400 },
  'app-change.account': { count: 100, seconds: 3600 },
  'pairing.client': { count: 60, seconds: 3600 },
  // Key Service, by user and app. What costs how much is said in docs/protocol/keys.md.
  'key-burst.account': { count: 1, seconds: 60 },
  'key-change.account': { count: 50, seconds: 86_400 },
  'look-up-burst.account': { count: 10, seconds: 60 },
  'look-up.account': { count: 200, seconds: 86_400 },
  'look-up.app': { count: 5000, seconds: 86_400 },
  'package-claim.pair': { count: 10, seconds: 86_400 },
  'revocation.client': { count: 30, seconds: 3600 },
} as const satisfies Record<string, Budget>;

/** `<what>.<counted on>` */
export type BudgetName = keyof typeof defaults;
export type Budgets = Readonly<Record<BudgetName, Budget | undefined>>;

const names = Object.keys(defaults) as BudgetName[];

/** `sign-up.client=100/3600,status.client=none`; `all` is every one that is not named. */
export const BudgetList = z
  .string()
  .default('')
  .transform((text, context): Budgets => {
    const budgets: Record<BudgetName, Budget | undefined> = { ...defaults };
    const named = new Map<string, Budget | undefined>();
    for (const part of text.split(',').map((piece) => piece.trim())) {
      if (part === '') continue;
      const [, name = '', count, seconds] =
        /^([a-z.-]+)=(?:(\d{1,9})\/([1-9]\d{0,8})|none)$/.exec(part) ?? [];
      if (name !== 'all' && !(name in defaults)) {
        context.addIssue({ code: 'custom', message: `${part} is no <budget>=<count>/<seconds>` });
      }
      const isLimited = count !== undefined && seconds !== undefined;
      named.set(name, isLimited ? { count: Number(count), seconds: Number(seconds) } : undefined);
    }
    for (const name of names) {
      const by = [name, 'all'].find((one) => named.has(one));
      if (by !== undefined) budgets[name] = named.get(by);
    }
    return budgets;
  });

/** `sign-up.client 30 an hour` and so on, for those in force. */
export const budgetsInWords = (budgets: Budgets, time: (seconds: number) => string): string =>
  names
    .flatMap((name) => {
      const budget = budgets[name];
      return budget ? [`${name} ${budget.count} in ${time(budget.seconds)}`] : [];
    })
    .join(', ') || 'none';
