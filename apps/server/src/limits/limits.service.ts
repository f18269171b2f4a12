import { createHmac, randomBytes } from 'node:crypto';
import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure, type FailureCode } from '#lib/protocol';
import type { BudgetName } from '../platform/budgets.ts';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { Config } from '../platform/config.ts';
import { SettingsService } from '../platform/settings.service.ts';

/** Narrow ones first: what they refuse is not charged to the account, which others could use up. */
const kinds = {
  'sign-up': ['sign-up.client'],
  status: ['status.client'],
  login: ['login.client', 'login.pair', 'login.account'],
  reset: ['reset.client', 'reset.pair', 'reset.account'],
  mail: ['mail.client', 'mail.pair', 'mail.account'],
  guess: ['guess.client', 'guess.pair', 'guess.account'],
  // Nobody guesses 40 bits; and this is the way in when others have used up the account's budgets.
  unblock: ['guess.client', 'guess.pair'],
  // `client` is who claims, `account` is whose package.
  'package-claim': ['package-claim.pair'],
  revocation: ['revocation.client'],
  // Who types a device's code and has not said who he is.
  'guess-by-stranger': ['guess.client'],
  // Who can guess here has the password. Waits grow, so that a year of guessing gains next to nothing.
  factor: ['factor.client', 'factor.account'],
  // 50 bits, or a signature: the way in for the owner when somebody used the digits' budget up.
  'factor-unguessable': ['factor.client'],
  authorize: ['authorize.account'],
  // Whoever asks has not said who he is, and each question is a row.
  'ask-to-authorize': ['authorize.client'],
  device: ['device.client'],
  app: ['app.client', 'app.account'],
  'app-change': ['app-change.account'],
  pairing: ['pairing.client'],
  // Nobody guesses 128 bits either; whoever tries is not to be forever at it.
  channel: ['guess.client'],
} as const satisfies Record<string, BudgetName[]>;
export type LimitKind = keyof typeof kinds;
/** Those that are charged for what was wrong alone. */
type GuessKind =
  'factor' | 'factor-unguessable' | 'login' | 'guess' | 'guess-by-stranger' | 'unblock' | 'channel';

/** Those that wait longer each time, up to a day. A stranger's tries do not count on them. */
const growing: ReadonlySet<BudgetName> = new Set(['login.pair', 'factor.account']);
const WAIT_SECONDS_MAX = 86_400;
/** After that long without a refusal, the next wait is a short one again. */
const PAUSE_SECONDS = 86_400;
const PURGE_MS = 3_600_000;

/** On whom a limit is counted. */
export interface Charged {
  /** {@link Visitor.client} */
  client: string;
  /** A uid, or an address in whatever spelling, whether or not somebody has it. */
  account?: string;
}

/** What a wrong guess is refused with; of anything else nothing is charged. */
const wrongGuesses: ReadonlySet<FailureCode> = new Set([
  'incorrect-password',
  'incorrect-email-case',
  'invalid-verification-code',
  'invalid-unblock-code',
  'invalid-digits',
  'invalid-backup-code',
  'invalid-passkey',
  'unknown-user-code',
  'unknown-channel',
]);

/**
 * Who may do how much of what is costly, annoying or a guess. One statement for each budget, so that
 * of many at once no more get through than it holds.
 */
@Injectable()
export class LimitsService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('limits');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'limits-not-purged', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly settings: SettingsService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(PURGE_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /**
   * @throws Failure `too-many-requests` with `retryAfter` in seconds; `request-blocked` when wrong
   *   passwords for one account come from many clients
   */
  async spend(kind: LimitKind, charged: Charged): Promise<void> {
    for (const name of kinds[kind]) {
      const budget = this.config.limits.budgets[name];
      if (!budget) continue;
      const now = this.clock.now();
      const [row] = await this.db.query<{ locked: boolean; endsAt: Date }[]>(SPEND, [
        await this.idOf(name, charged),
        ...[budget.count, budget.seconds, now],
        ...[growing.has(name), WAIT_SECONDS_MAX, PAUSE_SECONDS],
      ]);
      if (row?.locked !== true) continue;
      const wait = Math.max(Math.ceil((row.endsAt.getTime() - now.getTime()) / 1000), 1);
      throw refusal(name, wait);
    }
  }

  /**
   * Does what may be a guess: it is charged before, so that a thousand at once are not a thousand
   * guesses, and not charged when it was none.
   *
   * @throws Failure `too-many-requests`, and what `work` throws
   */
  async guess<T>(kind: GuessKind, charged: Charged, work: () => Promise<T>): Promise<T> {
    await this.spend(kind, charged);
    try {
      const done = await work();
      await this.giveBack(kind, charged, true);
      return done;
    } catch (error) {
      const isWrong = error instanceof Failure && wrongGuesses.has(error.code);
      // A database that is away is what the caller hears of, and not twice.
      if (!isWrong) await this.giveBack(kind, charged, false).catch(() => undefined);
      throw error;
    }
  }

  /** @param isRight - the pair has shown that it knows: its wrong guesses are forgotten */
  private async giveBack(kind: GuessKind, charged: Charged, isRight: boolean): Promise<void> {
    const ids = await Promise.all(kinds[kind].map((name) => this.idOf(name, charged)));
    const known = kind === 'login' ? 'login.pair' : 'guess.pair';
    const pair = isRight ? await this.idOf(known, charged) : '';
    await this.db.query(
      `UPDATE budget SET spent = CASE WHEN id = $2 THEN 0 ELSE GREATEST(spent - 1, 0) END,
              strikes = CASE WHEN id = $2 THEN 0 ELSE strikes END
        WHERE id IN (SELECT id FROM budget WHERE id = ANY($1) AND NOT is_locked
                      ORDER BY id FOR UPDATE)`,
      [ids, pair],
    );
  }

  private async idOf(name: BudgetName, { client, account = '' }: Charged): Promise<string> {
    const whose = account.toLowerCase();
    const on = name.endsWith('.client') ? client : name.endsWith('.pair') ? [client, whose] : whose;
    const key = await this.settings.getOrMake('limits-key', () =>
      randomBytes(32).toString('base64url'),
    );
    return createHmac('sha256', key)
      .update(JSON.stringify([name, on]))
      .digest('base64url');
  }

  private async purge(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - PAUSE_SECONDS * 1000);
    await this.db.query(`DELETE FROM budget WHERE ends_at < $1`, [before]);
  }
}

/** $1 id, $2 count, $3 seconds, $4 now, $5 whether waits grow, $6 longest wait, $7 pause */
const SPEND = `
  INSERT INTO budget AS b (id, spent, is_locked, strikes, ends_at)
  VALUES ($1, 1, $2::integer < 1, 0, $4::timestamptz + $3::integer * interval '1 second')
  ON CONFLICT (id) DO UPDATE SET
    spent = CASE WHEN b.ends_at <= $4 THEN 1 WHEN b.is_locked THEN b.spent ELSE b.spent + 1 END,
    is_locked = CASE WHEN b.ends_at <= $4 THEN $2 < 1 ELSE b.is_locked OR b.spent >= $2 END,
    strikes = CASE WHEN b.ends_at <= $4::timestamptz - $7::integer * interval '1 second' THEN 0
                   WHEN b.ends_at > $4 AND NOT b.is_locked AND b.spent >= $2 THEN b.strikes + 1
                   ELSE b.strikes END,
    ends_at = CASE WHEN b.ends_at <= $4 THEN $4::timestamptz + $3 * interval '1 second'
                   WHEN $5::boolean AND NOT b.is_locked AND b.spent >= $2
                   THEN $4::timestamptz
                        + LEAST($3::float8 * 2 ^ LEAST(b.strikes, 20), $6::float8) * interval '1 second'
                   ELSE b.ends_at END
  RETURNING is_locked AS locked, ends_at AS "endsAt"`;

/** Whoever is locked out of his account, as by wrong passwords, gets in by a mailed code. */
const unblockable: ReadonlySet<BudgetName> = new Set(['login.pair', 'login.account']);

function refusal(name: BudgetName, seconds: number): Failure {
  // Many clients at once: FxA calls that blocked, and its clients offer to mail a code.
  const code = name === 'login.account' ? 'request-blocked' : 'too-many-requests';
  return new Failure(code, `Too many attempts. Try again ${inWords(seconds)}.`, {
    headers: { 'retry-after': String(seconds) },
    extra: {
      retryAfter: seconds,
      retryAfterLocalized: inWords(seconds),
      ...(unblockable.has(name) && {
        verificationMethod: 'email-captcha',
        verificationReason: 'login',
      }),
    },
  });
}

function inWords(seconds: number): string {
  const [count, unit] =
    seconds < 90
      ? [seconds, 'second']
      : seconds < 5400
        ? [Math.ceil(seconds / 60), 'minute']
        : [Math.ceil(seconds / 3600), 'hour'];
  return `in ${count} ${unit}${count === 1 ? '' : 's'}`;
}
