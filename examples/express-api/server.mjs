// An API of an app's own, on Express. It checks tokens by the server's published keys, and asks nobody.
import express from 'express';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import { checkProof } from '../dpop.mjs';

const issuer = process.env.ISSUER ?? 'http://localhost:8000'; // the Lockstep server
const audience = process.env.AUDIENCE ?? 'http://127.0.0.1:8082/api'; // this API, as the app is registered
const keys = createRemoteJWKSet(new URL('/oauth2/jwks', issuer));
const rules = { issuer, audience, typ: 'at+jwt', algorithms: ['ES256'] };

/** A handler that lets nobody on without a token that has this scope. */
const requires = (scope) => async (request, response, next) => {
  const { authorization = '', dpop } = request.headers;
  const [, scheme, token] = /^(Bearer|DPoP) ([\w.~+/-]+=*)$/i.exec(authorization) ?? [];
  const refuse = (status, error, more = '') => {
    const challenge = `${scheme ?? 'Bearer'}${error ? ` error="${error}"` : ''}${more}`;
    return response.set('www-authenticate', challenge).status(status).json({ error });
  };
  if (!token) return refuse(401);
  try {
    const { payload } = await jwtVerify(token, keys, rules);
    const url = new URL(request.originalUrl.split('?')[0], audience).href;
    if (payload.cnf)
      await checkProof(dpop, { token, jkt: payload.cnf.jkt, method: request.method, url });
    const has = (payload.scope ?? '').split(' ').includes(scope);
    if (!has) return refuse(403, 'insufficient_scope', `, scope="${scope}"`);
    request.user = payload.sub;
    return next();
  } catch (error) {
    return error instanceof errors.JOSEError ? refuse(401, 'invalid_token') : next(error);
  }
};

const app = express();
app.get('/api/me', requires('profile'), (request, response) =>
  response.json({ user: request.user }),
);
app.listen(Number(new URL(audience).port), () => console.log(`listening on ${audience}`));
