// SPDX-License-Identifier: Apache-2.0
// A Cognito user pool's token endpoint, for client credentials alone, and its access tokens.
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import { json } from './http.mjs'

const UNIT_S = { seconds: 1, minutes: 60, hours: 3600, days: 86400 }
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (text) => JSON.parse(Buffer.from(text, 'base64url').toString())

const refused = (error, status = 400) => json(status, { error })

function basic(header = '') {
  const text = Buffer.from(header.replace(/^Basic /, ''), 'base64').toString()
  const [id, secret] = text.split(/:(.*)/s)
  return { id, secret }
}

export class Tokens {
  constructor(template) {
    this.clients = new Map(template.all('AWS::Cognito::UserPoolClient').map(([id, client]) =>
      [id, { ...client, secret: client.GenerateSecret && randomBytes(24).toString('hex') }]))
    this.scopes = template.all('AWS::Cognito::UserPoolResourceServer').flatMap(([, server]) =>
      server.Scopes.map((scope) => `${server.Identifier}/${scope.ScopeName}`))
    // Takes a while: only where somebody is to get a token.
    this.keys = this.clients.size > 0 ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : {}
    this.requests = 0
    this.generation = 0
    this.lifetimeS = undefined
  }

  /** {client id: secret}, as its owner would look it up. */
  secrets() {
    return Object.fromEntries([...this.clients].map(([id, client]) => [id, client.secret]))
  }

  /** No token that was given so far is good any longer. */
  revoke() {
    this.generation += 1
  }

  lifetimeOf(client) {
    const unit = UNIT_S[client.TokenValidityUnits?.AccessToken ?? 'hours']
    return this.lifetimeS ?? (client.AccessTokenValidity ?? 1) * unit
  }

  give(id, client, scope) {
    const lifetimeS = this.lifetimeOf(client)
    const now = Math.floor(Date.now() / 1000)
    const claims = { sub: id, client_id: id, token_use: 'access', scope, iat: now,
      exp: now + lifetimeS, generation: this.generation }
    const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(text), this.keys.privateKey).toString('base64url')
    return json(200, { access_token: `${text}.${signature}`, expires_in: lifetimeS,
      token_type: 'Bearer' })
  }

  /** Answers POST /oauth2/token. */
  answer(request) {
    this.requests += 1
    const form = new URLSearchParams(request.body.toString())
    if (request.path !== '/oauth2/token') return json(404, { error: 'not found' })
    if (!request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
      return refused('invalid_request')
    }
    const { id, secret } = basic(request.headers.authorization)
    const client = this.clients.get(id)
    if (!client?.secret || client.secret !== secret) return refused('invalid_client')
    const flow = form.get('grant_type')
    if (flow !== 'client_credentials') return refused('unsupported_grant_type')
    if (!client.AllowedOAuthFlows?.includes(flow)) return refused('unauthorized_client')
    const allowed = client.AllowedOAuthScopes.filter((scope) => this.scopes.includes(scope))
    const wanted = form.get('scope')?.split(' ') ?? allowed
    if (!wanted.every((scope) => allowed.includes(scope))) return refused('invalid_scope')
    return this.give(id, client, wanted.join(' '))
  }

  /** The claims of the access token in HEADER; 'expired' or undefined where it is not good. */
  check(header = '') {
    const parts = header.replace(/^Bearer /, '').split('.')
    if (parts.length !== 3) return undefined
    const signed = Buffer.from(`${parts[0]}.${parts[1]}`)
    if (!verify('sha256', signed, this.keys.publicKey, Buffer.from(parts[2], 'base64url'))) {
      return undefined
    }
    const claims = decode(parts[1])
    if (claims.exp * 1000 <= Date.now() || claims.generation !== this.generation) return 'expired'
    return claims
  }
}
