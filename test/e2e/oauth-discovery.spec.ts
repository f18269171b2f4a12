import { apiByScope } from '#lib/protocol';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const WELL_KNOWN = ['openid-configuration', 'oauth-authorization-server'] as const;
const discover = async (name: (typeof WELL_KNOWN)[number]) => {
  const { body } = await server.request().get(`/.well-known/${name}`).expect(200);
  return body as Record<string, unknown>;
};

it.each(WELL_KNOWN)('says in %s what there is, and nothing else', async (name) => {
  const at = (path: string) => `${server.url}/oauth2/${path}`;
  const methods = ['none', 'client_secret_basic', 'client_secret_post'];
  const { scopes_supported: scopes, ...rest } = await discover(name);
  expect(rest).toEqual({
    issuer: server.url,
    authorization_endpoint: at('authorize'),
    device_authorization_endpoint: at('device_authorization'),
    introspection_endpoint: at('introspect'),
    jwks_uri: at('jwks'),
    pushed_authorization_request_endpoint: at('par'),
    revocation_endpoint: at('revoke'),
    token_endpoint: at('token'),
    userinfo_endpoint: at('userinfo'),
    token_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_methods_supported: methods,
    response_types_supported: ['code'],
    response_modes_supported: ['form_post', 'fragment', 'query'],
    grant_types_supported: [
      ...['authorization_code', 'refresh_token'],
      'urn:ietf:params:oauth:grant-type:device_code',
    ],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
    id_token_signing_alg_values_supported: ['ES256'],
    subject_types_supported: ['public'],
    claim_types_supported: ['normal'],
    claims_supported: [
      ...['sub', 'auth_time', 'acr', 'amr', 'email', 'email_verified', 'sid', 'iss'],
    ],
    claims_parameter_supported: false,
    request_uri_parameter_supported: false,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  });
  expect(scopes).toEqual(expect.arrayContaining(['openid', 'profile', ...Object.keys(apiByScope)]));
});

it('names no endpoint that does not answer', async () => {
  const document = await discover('openid-configuration');
  const endpoints = Object.entries(document).filter(([name]) => /_endpoint$|_uri$/.test(name));
  expect(endpoints).toHaveLength(8);
  const byGet = ['authorization_endpoint', 'jwks_uri', 'userinfo_endpoint'];
  for (const [name, address] of endpoints) {
    const { pathname } = new URL(String(address));
    const answer = await (byGet.includes(name)
      ? server.request().get(pathname)
      : server.request().post(pathname).type('form').send({ client_id: 'nobody' }));
    expect([name, answer.status]).toEqual([
      name,
      { jwks_uri: 200, authorization_endpoint: 400, userinfo_endpoint: 401 }[name] ?? 401,
    ]);
  }
  await server.request().post('/oauth2/nothing').type('form').send({}).expect(404);
});
