import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { verifyRevocation } from '#lib/crypto';
import {
  type ChangeKeySettings,
  Failure,
  KEY_SETTINGS_TYPE,
  type KeyHistory,
  type KeyHistoryQuery,
  type KeyList,
  KeySettings,
  type KeySettingsNow,
  type OwnKeys,
  type PublicKeys,
  type PublishKeys,
  type RevokeKey,
  type TokenRevocation,
} from '#lib/protocol';
import type { Grant } from '../oauth/bearer.guard.ts';
import type { BudgetName } from '../platform/budgets.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { isMeant } from '../platform/etags.ts';
import { runNamed } from '../platform/named-statement.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { beside, etagOf, hiddenEtagOf, type Tagged } from './etag.ts';
import {
  checkNextList,
  checkWrapped,
  openKeyList,
  reopenKeyList,
  type Wrapped,
} from './key-list.ts';
import { openSigned, type Place } from './signed.ts';

/** What stands of one user in one app. */
interface Standing {
  ver: number;
  etag: string;
  skl: string;
  wrapped: Wrapped;
  revocations: TokenRevocation[] | null;
  discoverable: KeySettingsNow['discoverable'];
}

/** A list that was published. */
interface Past {
  ver: number;
  skl: string;
  wrapped: Wrapped;
  at: Date;
  isFollowed: boolean;
}

/** Of one answer; a list is begun while there is room. Fifty of the largest at once are 5 MB. */
const HISTORY_BYTES = 2 ** 20;

/** How old a sign-in may be, in seconds, for an identity to be made anew. */
const STEP_UP_SECONDS = 300;

/** Keeps what each user publishes in each app. Whoever writes holds the identity key, not just a token. */
@Injectable()
export class KeysService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly settings: SettingsService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Publishes the first list of a user in an app.
   *
   * @throws Failure `invalid-key-list`, `precondition-failed` when there is a list already
   */
  async publishFirst(caller: Grant, { skl, wrapped }: PublishKeys): Promise<Tagged<PublicKeys>> {
    const { uid, clientId } = caller;
    const { list } = openKeyList(skl, await this.placeOf(caller));
    if (list.ver !== 1) throw new Failure('invalid-key-list', 'The first list has version 1.');
    const kept = JSON.stringify(checkWrapped(list, wrapped));
    const etag = etagOf(1, skl);
    // The primary key decides a race between two devices; a look beforehand could not.
    const rows = await runNamed(this.db, {
      ...{ name: 'key-list-first', text: FIRST },
      values: [uid, clientId, 1, etag, skl, kept, this.clock.now()],
    });
    if (rows.length === 0) {
      throw new Failure('precondition-failed', 'The user has published keys in this app already.');
    }
    return { body: { uid, skl }, etag };
  }

  /**
   * Publishes the next list.
   *
   * @param ifMatch - the entity tags of what is to be replaced
   * @throws Failure `precondition-failed` when something else stands, `too-many-requests`,
   *   `step-up-required`, and as {@link checkNextList}
   */
  async publishNext(
    caller: Grant,
    { skl, wrapped }: PublishKeys,
    ifMatch: string,
  ): Promise<Tagged<PublicKeys>> {
    const { uid, clientId } = caller;
    const next = openKeyList(skl, await this.placeOf(caller));
    const old = await this.standing(uid, clientId);
    // Of the list: whether its owner hides is no matter.
    const tags = old ? [old.etag, hiddenEtagOf(old.etag)] : [];
    if (!old || !tags.some((tag) => isMeant(ifMatch, tag))) throw replaced();
    const revoked = (old.revocations ?? []).map(({ kid }) => kid);
    const step = await checkNextList(reopenKeyList(old.skl), next, revoked);
    if (step === 'reset') this.expectFreshSignIn(caller);
    const kept = JSON.stringify(checkWrapped(next.list, wrapped, old.wrapped));
    await this.expectLeisure(uid, clientId);
    const { ver } = next.list;
    const etag = etagOf(ver, skl);
    const rows = await runNamed(this.db, {
      ...{ name: 'key-list-next', text: NEXT },
      values: [uid, clientId, ver, etag, skl, kept, this.clock.now(), old.etag],
    });
    if (rows.length === 0) throw replaced();
    return { body: { uid, skl }, etag };
  }

  /** @throws Failure `not-found` before the first publication */
  async own({ uid, clientId }: Grant): Promise<Tagged<OwnKeys>> {
    const standing = await this.standing(uid, clientId);
    if (!standing) throw absent();
    const { skl, wrapped, revocations, discoverable, etag } = standing;
    return {
      body: { skl, wrapped, settings: { discoverable }, ...beside(revocations) },
      etag: discoverable === 'app' ? etag : hiddenEtagOf(etag),
    };
  }

  /** One's own lists from a version on, those that were replaced included; of large ones not so many. */
  async history({ uid, clientId }: Grant, { after, limit }: KeyHistoryQuery): Promise<KeyHistory> {
    const rows = await this.db.query<Past[]>(HISTORY, [
      ...[uid, clientId, after, limit, HISTORY_BYTES],
    ]);
    if (rows.length === 0 && after === 0) throw absent();
    const lists = rows.map(({ ver, skl, wrapped, at }) => ({
      ...{ ver, skl, wrapped },
      at: Math.floor(at.getTime() / 1000),
    }));
    const last = rows.at(-1);
    return { lists, ...(last?.isFollowed && { next: last.ver }) };
  }

  /**
   * Says who finds the user in the app.
   *
   * @throws Failure `not-found` before the first publication, `invalid-key-list` for what is no
   *   settings of this user, `signature-required`, `conflict` when newer settings stand
   */
  async change(caller: Grant, { settings }: ChangeKeySettings): Promise<KeySettingsNow> {
    const { uid, clientId } = caller;
    const { payload, signer } = openSigned(
      settings,
      {
        ...{ typ: KEY_SETTINGS_TYPE, schema: KeySettings },
        ...{ what: 'settings of keys', code: 'invalid-key-list' },
      },
      await this.placeOf(caller),
    );
    const standing = await this.standing(uid, clientId);
    if (!standing) throw absent();
    if (signer !== this.signerIn(standing.skl)) {
      throw new Failure('signature-required', 'It is not signed by the identity in use.');
    }
    const { discoverable, iat } = payload;
    const [rows] = await this.db.query<[unknown[], number]>(
      `UPDATE key_member SET discoverable = $3, settings_at = $4
        WHERE uid = $1 AND client_id = $2 AND settings_at <= $4 RETURNING uid`,
      [uid, clientId, discoverable, iat],
    );
    if (rows.length === 0) throw new Failure('conflict', 'Newer settings stand.');
    return { discoverable };
  }

  /**
   * Takes note that a key was revoked by a token that its owner made beforehand.
   *
   * @throws Failure `invalid-revocation`, in the same words whatever is wrong with it
   */
  async revoke({ uid, cid: clientId, kid, sig }: RevokeKey): Promise<void> {
    const realm = await this.settings.realm();
    // Two tokens at once: the one that came second looks again.
    for (let tries = 0; tries < REVOCATION_TRIES; tries++) {
      const standing = await this.standing(uid, clientId);
      const { list, signer } = standing ? reopenKeyList(standing.skl) : NOBODYS;
      const identity = { kty: 'OKP', crv: 'Ed25519', x: signer } as const;
      const isGenuine = await verifyRevocation(identity, { realm, uid, clientId }, { kid, sig });
      const key = list.keys.find((one) => one.kid === kid);
      if (!standing || !isGenuine || !key) throw new Failure('invalid-revocation', NO_REVOCATION);
      const known = standing.revocations ?? [];
      if (key.st === 'revoked' || known.some((one) => one.kid === kid)) return;
      const revocations = [...known, { kid, sig }];
      const etag = etagOf(standing.ver, standing.skl, revocations);
      const [rows] = await this.db.query<[unknown[], number]>(
        `UPDATE key_member SET revocations = $3, etag = $4, changed_at = clock_timestamp()
          WHERE uid = $1 AND client_id = $2 AND etag = $5 RETURNING uid`,
        [uid, clientId, JSON.stringify(revocations), etag, standing.etag],
      );
      if (rows.length > 0) return;
    }
    throw new Failure('conflict', 'The keys change right now. Try again.');
  }

  /** Whether the user takes part in the app: has published keys there. */
  async isMember(uid: string, clientId: string): Promise<boolean> {
    const rows = await this.db.query<unknown[]>(
      `SELECT FROM key_member WHERE uid = $1 AND client_id = $2`,
      [uid, clientId],
    );
    return rows.length > 0;
  }

  /** `x` of the identity that signs now. @throws Failure `forbidden` before the first publication */
  async signerOf({ uid, clientId }: Grant): Promise<string> {
    const standing = await this.standing(uid, clientId);
    if (!standing) throw new Failure('forbidden', 'Publish your own keys in this app first.');
    return reopenKeyList(standing.skl).signer;
  }

  /** `x` of the identity that signed a list which stands. */
  signerIn(skl: string): string {
    return reopenKeyList(skl).signer;
  }

  /** What objects that the caller signs have to say. */
  async placeOf({ uid, clientId }: Grant): Promise<Place> {
    return { realm: await this.settings.realm(), uid, clientId, now: this.clock.seconds() };
  }

  private async standing(uid: string, clientId: string): Promise<Standing | undefined> {
    const [row] = await runNamed<Standing>(this.db, {
      ...{ name: 'key-list-standing', text: STANDING, values: [uid, clientId] },
    });
    return row;
  }

  /**
   * So many changes in so much time; the lists themselves are what is counted.
   *
   * @throws Failure `too-many-requests`
   */
  private async expectLeisure(uid: string, clientId: string): Promise<void> {
    for (const name of ['key-burst.account', 'key-change.account'] satisfies BudgetName[]) {
      const budget = this.config.limits.budgets[name];
      if (!budget) continue;
      if (budget.count === 0) throw tooMany('The keys are not changed here.', budget.seconds);
      const [nth] = await this.db.query<{ at: Date }[]>(
        `SELECT published_at AS at FROM key_list WHERE uid = $1 AND client_id = $2
          ORDER BY ver DESC OFFSET $3 LIMIT 1`,
        [uid, clientId, budget.count - 1],
      );
      const free = nth ? nth.at.getTime() / 1000 + budget.seconds : 0;
      const wait = Math.ceil(free - this.clock.now().getTime() / 1000);
      if (wait > 0) throw tooMany('The keys were changed too often.', wait);
    }
  }

  /** RFC 9470: the app asks for a new sign-in, and comes back. */
  private expectFreshSignIn({ authTime }: Grant): void {
    if (authTime !== undefined && authTime > this.clock.seconds() - STEP_UP_SECONDS) return;
    throw new Failure('step-up-required', 'Sign in again: only then an identity is made anew.', {
      headers: {
        'www-authenticate': `Bearer error="insufficient_user_authentication", max_age="${STEP_UP_SECONDS}"`,
      },
    });
  }
}

/** @param seconds - until it may be tried again */
export const tooMany = (why: string, seconds: number): Failure =>
  new Failure('too-many-requests', `${why} Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
    extra: { retryAfter: seconds },
  });

const REVOCATION_TRIES = 5;
const NO_REVOCATION = 'That revokes no key.';
/** So that of nobody as much is checked as of somebody. */
const NOBODYS = {
  list: { keys: [] as KeyList['keys'] },
  signer: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', // RFC 8037 A.2
};

const absent = () => new Failure('not-found', 'There are no such keys in this app.');
const replaced = () => new Failure('precondition-failed', 'Another list stands.');

const STANDING = `
  SELECT m.ver, m.etag, m.revocations, m.discoverable, l.skl, l.wrapped
    FROM key_member m JOIN key_list l USING (uid, client_id, ver)
   WHERE m.uid = $1 AND m.client_id = $2`;

/** $1 of whom, $2 in which app, $3 after which version, $4 how many, $5 how many bytes */
const HISTORY = `
  SELECT ver, skl, wrapped, at, "isFollowed"
    FROM (SELECT ver, skl, wrapped, at, lead(ver) OVER w IS NOT NULL AS "isFollowed",
                 sum(size) OVER w - size AS before, row_number() OVER w AS n
            FROM (SELECT ver, skl, wrapped, published_at AS at,
                         octet_length(skl) + octet_length(wrapped::text) AS size
                    FROM key_list WHERE uid = $1 AND client_id = $2 AND ver > $3
                   ORDER BY ver LIMIT $4::integer + 1) page
          WINDOW w AS (ORDER BY ver)) counted
   WHERE n <= $4 AND before < $5 ORDER BY ver`;

const FIRST = `
  WITH one AS (
    INSERT INTO key_member (uid, client_id, ver, etag) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING RETURNING uid, client_id, ver)
  INSERT INTO key_list (uid, client_id, ver, skl, wrapped, published_at)
  SELECT uid, client_id, ver, $5, $6, $7 FROM one RETURNING ver`;

/** Of two at once, the second waits for the first, and then finds another entity tag. */
const NEXT = `
  WITH one AS (
    UPDATE key_member SET ver = $3, etag = $4, revocations = NULL, changed_at = clock_timestamp()
     WHERE uid = $1 AND client_id = $2 AND etag = $8 RETURNING uid, client_id, ver)
  INSERT INTO key_list (uid, client_id, ver, skl, wrapped, published_at)
  SELECT uid, client_id, ver, $5, $6, $7 FROM one RETURNING ver`;
