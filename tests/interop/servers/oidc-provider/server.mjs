// An authorization server: oidc-provider. Any user name logs in.
//
//   PORT          on 127.0.0.1             REDIRECT_URI  of all clients but one
//   ACCESS_TTL    the lifetime of users' access tokens in seconds (3600)
//   MACHINE_TTL   the lifetime of client credentials tokens in seconds (600)
//
// With resource=urn:api the token is a JWT, otherwise opaque. The private keys of clients that sign are
// in {client}.pem. This file defines and registers the token exchange and JWT bearer grants.
import { Provider, errors } from 'oidc-provider';
import { jwtVerify } from 'jose';
import crypto from 'node:crypto';
import fs from 'node:fs';

const seconds = (name, usual) => Number(process.env[name] ?? usual);
const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;

const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const signing = { ...privateKey.export({ format: 'jwk' }), kid: 'key', alg: 'RS256', use: 'sig' };
// mod_auth_openidc reads the key from a file, mod_oauth2 from /jwks.
fs.writeFileSync('key.pem', publicKey.export({ type: 'spki', format: 'pem' }));

const client = (id, secret, method = 'client_secret_basic', redirect = process.env.REDIRECT_URI) => ({
  client_id: id,
  ...(secret && { client_secret: secret }),
  token_endpoint_auth_method: secret ? method : 'none',
  grant_types: ['authorization_code', 'refresh_token', ...(secret ? ['client_credentials'] : [])],
  response_types: ['code'],
  redirect_uris: [redirect],
  application_type: 'native',
});

// The header set by the proxy of mtls/start, with spaces instead of line breaks.
const certificate = (ctx) => {
  const body = ctx.get('x-client-cert').match(/-----BEGIN CERTIFICATE-----(.+)-----END CERTIFICATE-----/)?.[1];
  return body && new crypto.X509Certificate(Buffer.from(body, 'base64'));
};
// Clients that sign are named after their algorithm.
const pairs = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519'],
};
const keys = {};
const signer = (alg) => {
  const pair = crypto.generateKeyPairSync(...pairs[alg]);
  keys[alg] = pair.publicKey;
  fs.writeFileSync(`${alg}.pem`, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return {
    client_id: alg,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    jwks: { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `key of ${alg}` }] },
  };
};
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const bearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const device = 'urn:ietf:params:oauth:grant-type:device_code';

const provider = new Provider(issuer, {
  clients: [
    client('svc', 's3cret'),
    client('svc-post', 's3cret', 'client_secret_post'),
    client('weird', 'p@ss:w/ rd+%25&='), // must be percent-encoded in Basic
    client('id with:colon', 'x:y z'),
    ...Object.keys(pairs).map(signer),
    client('signs', 'a secret of more than 32 characters', 'client_secret_jwt'),
    { ...client('broker', 's3cret'), grant_types: [exchange, bearer], response_types: [], redirect_uris: [] },
    { ...client('tv'), grant_types: [device, 'refresh_token'], response_types: [], redirect_uris: [] },
    client('public'),
    { ...client('bound'), dpop_bound_access_tokens: true },
    {
      ...client('tls'),
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=tls',
      tls_client_certificate_bound_access_tokens: true,
    },
    client('native', undefined, 'none', 'http://127.0.0.1/callback'), // at any port (RFC 8252 7.3)
  ],
  jwks: { keys: [signing] },
  cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_jwt', 'client_secret_post', 'none', 'private_key_jwt',
    'tls_client_auth'],
  pkce: { required: () => true },
  clockTolerance: 0,
  rotateRefreshToken: true,
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: seconds('ACCESS_TTL', 3600),
    ClientCredentials: seconds('MACHINE_TTL', 600),
    AuthorizationCode: 60, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 3600, IdToken: 3600,
  },
  features: {
    devInteractions: { enabled: true }, // its pages for users
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: certificate,
      certificateAuthorized: (ctx) => ctx.get('x-client-verify') === 'SUCCESS',
      certificateSubjectMatches: (ctx, property, expected) => ctx.get('x-client-subject') === expected,
    },
    // Every proof needs a nonce, at the token endpoint and at /me.
    dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'read write',
        audience: resource,
        accessTokenTTL: seconds('MACHINE_TTL', 600),
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
// Issues a token to the client on behalf of `sub`.
async function issue(ctx, sub, more = {}) {
  const token = new provider.ClientCredentials({ client: ctx.oidc.client, extra: { sub } });
  const value = await token.save();
  ctx.body = { access_token: value, token_type: token.tokenType, expires_in: token.expiration, ...more };
}
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
provider.registerGrantType(exchange, async (ctx) => {
  const { subject_token: subject, subject_token_type: type } = ctx.oidc.params;
  if (type !== accessToken) throw new errors.InvalidRequest('an access token is wanted');
  const token = await provider.ClientCredentials.find(subject);
  if (!token?.isValid) throw new errors.InvalidGrant('the subject token is not valid');
  await issue(ctx, token.clientId, { issued_token_type: accessToken });
}, ['subject_token', 'subject_token_type', 'audience']);
provider.registerGrantType(bearer, async (ctx) => {
  try {
    const about = { issuer: 'robot', audience: issuer, requiredClaims: ['exp', 'sub'], clockTolerance: 5 };
    const { payload } = await jwtVerify(ctx.oidc.params.assertion, keys.ES256, about);
    await issue(ctx, payload.sub);
  } catch (error) {
    throw new errors.InvalidGrant(error.message);
  }
}, ['assertion']);

provider.on('server_error', (_, error) => console.error('server_error', error));
provider.on('grant.error', (_, error) => console.error('grant.error', error.message, error.error_detail ?? ''));
provider.listen(port, '127.0.0.1');
