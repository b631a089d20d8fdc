// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// node's oidc-provider on 127.0.0.1. One line of JSON on standard input configures it (the fields are
// those of config in provider.go), one line of JSON on standard output says where it is, and it ends
// when standard input does.
//
// Two sockets serve one provider: the second asks for client certificates (RFC 8705 section 5), and
// says in X-Certificate-Shown whose serial number it saw.
import { once } from 'node:events';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const input = createInterface({ input: process.stdin });
const [line] = await once(input, 'line');
const config = JSON.parse(line);
input.on('close', () => process.exit(0));

const tls = { key: config.key, cert: config.certificate };
const plain = createServer(tls);
const mutual = createServer({ ...tls, ca: config.clientCA, requestCert: true, rejectUnauthorized: false });

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `https://127.0.0.1:${server.address().port}`;
}

const issuer = await listen(plain);
const mutualIssuer = await listen(mutual);

const certificate = (ctx) => ctx.socket.getPeerX509Certificate?.();

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

const provider = new Provider(issuer, {
  clients: config.clients,
  jwks: config.jwks,
  cookies: { keys: ['a secret of the tests'] },
  scopes: ['openid', 'offline_access', 'email'],
  claims: { openid: ['sub'], email: ['email'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) }),
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth', 'none',
  ],
  enabledJWA: { clientAuthSigningAlgValues: algorithms },
  rotateRefreshToken: true,
  ttl: {
    AccessToken: config.accessTokenSeconds,
    ClientCredentials: config.accessTokenSeconds,
    DeviceCode: config.deviceCodeSeconds,
  },
  discovery: {
    mtls_endpoint_aliases: {
      token_endpoint: `${mutualIssuer}/token`,
      revocation_endpoint: `${mutualIssuer}/token/revocation`,
      introspection_endpoint: `${mutualIssuer}/token/introspection`,
      device_authorization_endpoint: `${mutualIssuer}/device/auth`,
      pushed_authorization_request_endpoint: `${mutualIssuer}/request`,
    },
  },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: {
      enabled: true,
      requirePushedAuthorizationRequests: config.requirePushedAuthorizationRequests,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'read', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: config.accessTokenSeconds, jwt: { sign: { alg: 'ES256' } },
      }),
    },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate: certificate,
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_dns' && certificate(ctx).subjectAltName === `DNS:${expected}`,
    },
  },
});

// The library has the error slow_down and leaves it to others when to use it (RFC 8628 section 3.5).
const polls = new Map();
provider.use(async (ctx, next) => {
  await next();
  const shown = certificate(ctx);
  if (shown) {
    ctx.set('X-Certificate-Shown', shown.serialNumber);
  }
  if (ctx.oidc?.route === 'device_authorization' && ctx.status === 200) {
    ctx.body.interval = config.deviceIntervalSeconds;
  }
  if (ctx.oidc?.route === 'token' && ctx.body?.error === 'authorization_pending') {
    const code = ctx.oidc.params.device_code;
    const poll = polls.get(code) ?? { at: 0, interval: config.deviceIntervalSeconds };
    if (Date.now() - poll.at < poll.interval * 1000) {
      poll.interval += 5;
      ctx.body = { error: 'slow_down' };
    }
    poll.at = Date.now();
    polls.set(code, poll);
  }
});

for (const event of ['grant.error', 'pushed_authorization_request.error', 'authorization.error', 'introspection.error', 'revocation.error', 'server_error']) {
  provider.on(event, (ctx, error) => console.error(`${event}: ${error.message} ${error.error_detail ?? ''} ${error.error_description ?? ''}`));
}
plain.on('request', provider.callback());
mutual.on('request', provider.callback());
console.log(JSON.stringify({ issuer, mutualIssuer }));
