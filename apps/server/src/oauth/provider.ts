import type { Adapter, Client, Configuration, JWKS, KoaContextWithOIDC } from 'oidc-provider';
import { apiByScope, APP_KEY, NEW_SESSION, OLD_SYNC } from '#lib/protocol';
import type { Clock } from '../platform/clock.ts';
import { escapeHtml, page, PAGE_POLICY } from '../platform/html.ts';
import { matchesSecret, type StoredSecret } from './client-secret.ts';
import { DPOP_ALGS } from './dpop-proof.ts';
import { visitorOf } from '../platform/visitor.ts';
import { POLL_SECONDS } from './device-codes.service.ts';
import { errors, interactionPolicy, Provider } from './oidc-provider.ts';
import { apiOfApp, isJwt, keepJwt, mayIntrospect, takeJwts } from './jwt-access-tokens.ts';
import { isKeysJwk } from './keys-jwk.ts';
import { publicKeys } from './signing-keys.ts';
import { ACCESS_TOKEN_SECONDS, audiencesOf, resourceServer } from './resources.ts';

const DAY = 86_400;

const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const;

/** Where somebody types what a device shows. */
const DEVICE_PAGE = '/device';

/** What the provider needs of the rest of the server. */
export interface ProviderParts {
  issuer: string;
  adapterOf: (model: string) => Adapter;
  jwks: JWKS;
  clock: Clock;
  /** Sign the cookies of the browser that asks; the newest comes first. */
  cookieKeys: string[];
  /** Calls an address of an app. */
  fetch: NonNullable<Configuration['fetch']>;
  /** An account's claims; undefined when it is gone. */
  profile: (
    uid: string,
  ) => Promise<
    { email: string; verified: boolean; generation: number; hasFactors: boolean } | undefined
  >;
  /** Takes the sealed keys that wait beside a grant, once. */
  takeKeys: (grantId: string) => Promise<string | undefined>;
  /** Whether a device asks no sooner than it was told to. */
  mayPoll: (deviceCode: string) => Promise<boolean>;
  /** An app was given a token. */
  noteUse: (uid: string, clientId: string) => void;
}

const paths = {
  authorization: 'authorize',
  token: 'token',
  jwks: 'jwks',
  userinfo: 'userinfo',
  introspection: 'introspect',
  revocation: 'revoke',
  pushed_authorization_request: 'par',
  device_authorization: 'device_authorization',
};

/**
 * Builds the one authority that issues tokens: authorization code with PKCE for public clients.
 *
 * oidc-provider checks the protocol; what is ours is here: the page that answers every request for
 * authorization, the audiences, the delivery of keys, and grants that end with the session.
 */
export function makeProvider(parts: ProviderParts): Provider {
  const { adapterOf, clock } = parts;
  const routes = Object.entries(paths).map(([name, path]) => [name, `/oauth2/${path}`] as const);
  const device = { code_verification: DEVICE_PAGE };
  const configuration: Configuration = {
    adapter: adapterOf,
    jwks: parts.jwks,
    cookies: { keys: parts.cookieKeys, short: { sameSite: 'lax' }, long: { sameSite: 'lax' } },
    routes: { ...Object.fromEntries(routes), ...device },
    fetch: parts.fetch,
    responseTypes: ['code'],
    pkce: { required: () => true },
    scopes: [
      ...['openid', 'offline_access', 'profile', 'profile:write', APP_KEY, NEW_SESSION],
      ...Object.keys(apiByScope),
    ],
    claims: {
      openid: ['sub', 'auth_time', 'acr', 'amr'],
      profile: ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'], dPoPSigningAlgValues: DPOP_ALGS },
    acceptQueryParamAccessTokens: false,
    // Pages of other origins, too: nothing here, but the page itself, goes by a cookie.
    clientBasedCORS: () => true,
    clientAuthMethods: AUTH_METHODS,
    discovery: {
      introspection_endpoint_auth_methods_supported: AUTH_METHODS,
      revocation_endpoint_auth_methods_supported: AUTH_METHODS,
    },
    allowOmittingSingleRegisteredRedirectUri: true,
    ttl: {
      AccessToken: (_ctx, { resourceServer }) =>
        resourceServer?.accessTokenTTL ?? ACCESS_TOKEN_SECONDS,
      AuthorizationCode: 600,
      DeviceCode: 600,
      IdToken: 3600,
      Interaction: 3600,
      Session: 14 * DAY,
      RefreshToken: 365 * DAY,
      Grant: 400 * DAY, // outlives every refresh token under it
    },
    extraClientMetadata: { properties: ['trusted', 'resources', 'client_secrets'] },
    // A browser that lost the answer of a rotation would be signed out.
    rotateRefreshToken: ({ oidc }) => !isTrusted(oidc.client),
    issueRefreshToken: (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') &&
      (!isTrusted(client) || code.scopes.has('offline_access')),
    // A revoked access token takes itself away; a refresh token, or a code used twice, the grant.
    revokeGrantPolicy: ({ oidc }) =>
      oidc.route !== 'revocation' || oidc.entities.RefreshToken !== undefined,
    // A grant ends with the FxA session it was given in, by a foreign key, not with a cookie.
    expiresWithSession: () => false,
    loadExistingGrant: ({ oidc }) => {
      const id =
        oidc.result?.consent?.grantId ??
        (mayBeSilent(oidc) ? oidc.session?.grantIdFor(oidc.client?.clientId ?? '') : undefined);
      return id === undefined ? Promise.resolve(undefined) : oidc.provider.Grant.find(id);
    },
    extraParams: { keys_jwk: checkKeysJwk },
    interactions: { policy: policy(), url: (_ctx, { uid }) => `/oauth2/interaction/${uid}` },
    // A token that is older than the password is told from others by it: the token server does.
    extraTokenClaims: async (ctx, token) => {
      if (isJwt(token)) return undefined;
      const account = 'accountId' in token ? await parts.profile(token.accountId) : undefined;
      const authTime = provenIn(ctx, account) ?? (token as { authTime?: number }).authTime;
      return (
        account && {
          'fxa-generation': account.generation,
          ...(authTime !== undefined && { auth_time: authTime }),
        }
      );
    },
    findAccount: async (_ctx, accountId) => {
      const profile = await parts.profile(accountId);
      return (
        profile && {
          accountId,
          claims: () => ({
            sub: accountId,
            email: profile.email,
            email_verified: profile.verified,
          }),
        }
      );
    },
    formats: {
      customizers: {
        jwt: async (_ctx, token, { payload }) => {
          if (token.kind === 'AccessToken') await keepJwt(adapterOf('AccessToken'), token, payload);
        },
      },
    },
    renderError: (ctx, { error, error_description: description }) => {
      ctx.type = 'html';
      ctx.set('content-security-policy', PAGE_POLICY);
      const why = [error, description].filter(Boolean).join(': ');
      const hint =
        'Nothing happened to your account. Whoever makes the app can mend it, with this:';
      const body = `<p>${hint}</p><p>${escapeHtml(why)}</p>`;
      ctx.body = page('The app asked for something impossible', body);
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      backchannelLogout: { enabled: true },
      dPoP: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      // Our page and calls take the place of its own: docs/protocol/oauth.md
      deviceFlow: {
        enabled: true,
        deviceInfo: ({ req }) => {
          const { client, agent } = visitorOf({ raw: req });
          return { client, agent: agent.slice(0, 256) };
        },
      },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => mayIntrospect(client, token),
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        // Unnamed: the APIs that the scopes belong to. Of several, each exchange names one.
        defaultResource: (ctx, _client, oneOf) => {
          if (oneOf) return oneOf;
          const known = audiencesOf(scopesAsked(ctx));
          return known.length === 1 ? known[0] : known.length === 0 ? undefined : known;
        },
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, audience, client) => {
          const found = resourceServer(audience) ?? apiOfApp(audience, client);
          if (!found) throw new errors.InvalidTarget();
          return found;
        },
      },
    },
  };
  const provider = new Provider(parts.issuer, configuration);
  provider.proxy = true; // X-Forwarded-Proto is set by our mount, from PUBLIC_URL
  provider.Client.prototype.compareClientSecret = function (secret) {
    const stored = this['client_secrets'] as StoredSecret[] | undefined;
    return matchesSecret(stored ?? [], secret, clock.seconds());
  };
  provider.use(takeJwts(parts.issuer, publicKeys(parts.jwks), clock));
  provider.use(async (ctx, next) => {
    await next();
    await complete(ctx as KoaContextWithOIDC, parts);
  });
  return provider;
}

/**
 * When the account was proven for what is redeemed here, in seconds; who saves a token says it. Undefined
 * when a second factor was not: what is dangerous at an API needs it.
 */
function provenIn(
  ctx: KoaContextWithOIDC | undefined,
  account: { hasFactors: boolean } | undefined,
): number | undefined {
  const { AuthorizationCode, RefreshToken, DeviceCode } = ctx?.oidc.entities ?? {};
  const redeemed = AuthorizationCode ?? RefreshToken ?? DeviceCode;
  return account?.hasFactors === true && redeemed?.acr !== 'AAL2' ? undefined : redeemed?.authTime;
}

/** Whether this is a browser that signs in to the whole account. */
const isTrusted = (client: Client | undefined): boolean => client?.['trusted'] === true;

/**
 * Our page answers every request, save one that it has just answered, `prompt=none`, and one for no
 * more than this browser's grant allows. The checks after this one see to it that it covers all.
 */
function policy() {
  const prompts = interactionPolicy.base();
  const { Check } = interactionPolicy;
  prompts
    .get('login')
    ?.checks.add(
      new Check('page', 'the account answers on its page', ({ oidc }) =>
        !oidc.result?.login && !mayBeSilent(oidc) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    );
  return prompts;
}

/**
 * Whether a request may go by what was granted in this browser: not when the app wants keys, which
 * come from the password; nor, unless it asks to, a native app, which any program can pretend to be
 * (RFC 8252 §8.6). Other prompts the provider's own checks see to.
 */
function mayBeSilent({ prompts, params, client }: KoaContextWithOIDC['oidc']): boolean {
  if (params?.keys_jwk !== undefined) return false;
  return prompts.has('none') || client?.applicationType === 'web';
}

/** Scopes with keys, and the key to seal them to, come together. */
function checkKeysJwk(ctx: KoaContextWithOIDC, value: string | undefined): void {
  const scopes = scopesAsked(ctx);
  if (value === undefined) {
    if (scopes.includes(APP_KEY)) throw new errors.InvalidRequest(`${APP_KEY} needs keys_jwk`);
    return;
  }
  if (!isKeysJwk(value)) {
    throw new errors.InvalidRequest('keys_jwk is no public key on P-256');
  }
  if (!scopes.includes(APP_KEY) && !scopes.includes(OLD_SYNC)) {
    throw new errors.InvalidRequest('keys_jwk was sent, but no scope with keys');
  }
}

/** What the provider's own answers lack. */
async function complete(ctx: KoaContextWithOIDC, parts: ProviderParts): Promise<void> {
  const body = ctx.body as object;
  if (ctx.path === '/oauth2/device_authorization' && ctx.status === 200) {
    ctx.body = { ...body, interval: POLL_SECONDS };
  }
  if (ctx.path !== '/oauth2/token') return;
  if (ctx.status === 400 && 'error' in body && body.error === 'authorization_pending') {
    const isPatient = await parts.mayPoll(String(ctx.oidc.params?.device_code));
    if (!isPatient) ctx.body = { ...body, error: 'slow_down' };
  }
  if (ctx.status !== 200) return;
  const { AuthorizationCode, DeviceCode, AccessToken } = ctx.oidc.entities;
  // The sealed keys go out with the exchange of the code, and are forgotten by that.
  const grantId = AuthorizationCode?.grantId ?? DeviceCode?.grantId;
  const keys = grantId === undefined ? undefined : await parts.takeKeys(grantId);
  if (keys !== undefined) ctx.body = { ...body, keys_jwe: keys };
  if (AccessToken?.clientId !== undefined) {
    parts.noteUse(AccessToken.accountId, AccessToken.clientId);
  }
}

function scopesAsked(ctx: KoaContextWithOIDC): string[] {
  const scope = ctx.oidc.params?.scope;
  return typeof scope === 'string' ? scope.split(' ') : [];
}
