// SPDX-License-Identifier: Apache-2.0
// Who may call a method: the four ways of a REST API's authorization, and API keys.
import { GatewayError } from './responses.mjs'
import { verdict } from './policy.mjs'
import { SignatureError, verify } from './signature.mjs'

const SIGNATURE_TYPES = {
  MissingAuthenticationTokenException: 'MISSING_AUTHENTICATION_TOKEN',
  IncompleteSignatureException: 'INVALID_SIGNATURE',
  InvalidSignatureException: 'INVALID_SIGNATURE',
  XAmzContentSHA256Mismatch: 'INVALID_SIGNATURE',
  ExpiredTokenException: 'EXPIRED_TOKEN',
  UnrecognizedClientException: 'INVALID_SIGNATURE',
}

function iam(call, cloud) {
  let key
  try {
    key = verify(call.request, cloud.keys, 'execute-api', cloud.region)
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error
    throw new GatewayError(SIGNATURE_TYPES[error.code], error.message, error.code)
  }
  const { policies, arn } = cloud.keys[key]
  call.context.identity.userArn = arn ?? ''
  if (policies && verdict(policies, 'execute-api:Invoke', call.arn) !== 'Allow') {
    throw new GatewayError('ACCESS_DENIED', `User: ${arn} is not authorized to perform: ` +
      `execute-api:Invoke on resource: ${call.arn}`)
  }
}

function cognito(call, cloud) {
  const claims = cloud.tokens.check(call.request.headers.authorization)
  if (claims === 'expired') throw new GatewayError('UNAUTHORIZED', 'The incoming token has expired')
  const scopes = call.method.AuthorizationScopes ?? []
  if (claims === undefined || !scopes.some((scope) => claims.scope.split(' ').includes(scope))) {
    throw new GatewayError('UNAUTHORIZED', 'Unauthorized')
  }
  call.context.authorizer = { claims }
}

// method.request.header.Authorization and its like, as values.
function identityOf(source, call) {
  return (source ?? '').split(',').map((one) => {
    const [, place, name] = /^\s*method\.request\.(header|querystring)\.(\S+)\s*$/.exec(one) ?? []
    return place === 'header' ? call.request.headers[name.toLowerCase()] :
      call.params.querystring[name]
  })
}

function eventOf(authorizer, identity, call) {
  if (authorizer.Type === 'TOKEN') {
    return { type: 'TOKEN', authorizationToken: identity[0], methodArn: call.arn }
  }
  return { type: 'REQUEST', methodArn: call.arn, resource: call.resource, path: call.request.path,
    httpMethod: call.request.method, headers: call.request.headers,
    queryStringParameters: call.params.querystring, pathParameters: {}, stageVariables: {},
    requestContext: call.requestContext }
}

async function ask(authorizer, identity, call, cloud) {
  const answer = await cloud.functions.invoke(authorizer.AuthorizerUri,
    eventOf(authorizer, identity, call))
  if (answer.errorMessage === 'Unauthorized') throw new GatewayError('UNAUTHORIZED', 'Unauthorized')
  if (!answer.value?.policyDocument || !answer.value.principalId) {
    throw new GatewayError('AUTHORIZER_CONFIGURATION_ERROR', null)
  }
  return answer.value
}

async function custom(call, cloud) {
  const [id, authorizer] = cloud.api.authorizer(call.method.AuthorizerId)
  const identity = identityOf(authorizer.IdentitySource, call)
  const expression = authorizer.IdentityValidationExpression
  if (identity.some((one) => !one) || (expression && !new RegExp(expression).test(identity[0]))) {
    throw new GatewayError('UNAUTHORIZED', 'Unauthorized')
  }
  const ttlMs = Number(authorizer.AuthorizerResultTtlInSeconds ?? 300) * 1000
  const slot = JSON.stringify([id, identity])
  let found = cloud.authorized.get(slot)
  if (found === undefined || found.until <= Date.now()) {
    found = { until: Date.now() + ttlMs, value: await ask(authorizer, identity, call, cloud) }
    if (ttlMs > 0) cloud.authorized.set(slot, found)
  }
  const { principalId, policyDocument, context } = found.value
  call.context.authorizer = { principalId, ...context }
  judge(verdict([policyDocument], 'execute-api:Invoke', call.arn))
}

function judge(said) {
  const text = 'User is not authorized to access this resource'
  if (said === 'Deny') throw new GatewayError('ACCESS_DENIED', `${text} with an explicit deny`)
  if (said !== 'Allow') throw new GatewayError('ACCESS_DENIED', text)
}

// execute-api:/stage/POST/path is short for the ARN of that in this very API.
function spelledOut(policy, call) {
  const api = call.arn.split('/')[0]
  const statements = policy.Statement.map((one) => ({ ...one,
    Resource: [one.Resource].flat().map((text) => text.replace(/^execute-api:(?=\/)/, api)) }))
  return { ...policy, Statement: statements }
}

/** A private API is called by its name, through an endpoint that its policy takes. */
export function checkPlace(call, cloud) {
  if (cloud.api.isPrivate) {
    const named = [call.request.headers.host, call.request.headers['x-apigw-api-id']]
    if (!named.some((one) => one?.split(/[.-]/)[0].toLowerCase() === cloud.api.id.toLowerCase())) {
      throw new GatewayError('WAF_FILTERED', 'Forbidden')
    }
  }
  if (cloud.api.policy) {
    const said = verdict([spelledOut(cloud.api.policy, call)], 'execute-api:Invoke', call.arn,
      { 'aws:SourceVpce': cloud.vpcEndpoint, 'aws:SecureTransport': 'true' })
    if (said !== 'Allow') {
      throw new GatewayError('ACCESS_DENIED', 'User: anonymous is not authorized to perform: ' +
        `execute-api:Invoke on resource: ${call.arn}`)
    }
  }
}

/** Throws the GatewayError of a caller that METHOD's authorization refuses. */
export async function authorize(call, cloud) {
  const ways = { NONE: () => {}, AWS_IAM: iam, COGNITO_USER_POOLS: cognito, CUSTOM: custom }
  await ways[call.method.AuthorizationType ?? 'NONE'](call, cloud)
}

/** Throws what is wrong with the API key, or the plan that it has used up. */
export function meter(call, cloud) {
  if (!call.method.ApiKeyRequired) return
  const value = call.request.headers['x-api-key']
  const key = cloud.api.keys.find((one) => one.value === value && one.enabled)
  if (key === undefined || key.plans.length === 0) {
    throw new GatewayError('INVALID_API_KEY', 'Forbidden')
  }
  call.context.identity.apiKey = value
  call.context.identity.apiKeyId = key.id
  for (const plan of key.plans) {
    const refused = cloud.throttle.plan(plan, key.id)
    if (refused === 'THROTTLED') throw new GatewayError('THROTTLED', 'Too Many Requests')
    if (refused) throw new GatewayError('QUOTA_EXCEEDED', 'Limit Exceeded')
  }
}
