// SPDX-License-Identifier: Apache-2.0
// A REST API of API Gateway: what it does with a request, in its order.
import { randomBytes, randomUUID } from 'node:crypto'
import { gunzipSync, inflateSync } from 'node:zlib'
import { authorize, checkPlace, meter } from './authorize.mjs'
import { integrate, mediaType } from './integration.mjs'
import { json } from './http.mjs'
import { GatewayError, refusal } from './responses.mjs'
import { ACCOUNT } from './template.mjs'
import { blocked } from './firewall.mjs'

export const BODY_BYTES_MAX = 10 << 20
const DECODERS = { gzip: gunzipSync, deflate: inflateSync, identity: (body) => body }

const PAGE = Buffer.from('<html><body><h1>Welcome to the guest network</h1></body></html>')
const page = (status, headers = {}) =>
  ({ status, headers: { 'content-type': 'text/html', ...headers }, body: PAGE })

/** What a fault answers in the gateway's stead, with nothing stored. */
const INSTEAD = {
  throttle: () => { throw new GatewayError('THROTTLED', 'Too Many Requests') },
  unavailable: () => { throw new GatewayError('SERVICE_UNAVAILABLE', 'Service Unavailable') },
  html: () => page(200),
  portal: () => page(302, { location: 'http://portal.example/login' }),
  reset: () => ({ ...json(200, {}), spoil: 'lost' }),
}

/** What a fault makes of the gateway's REPLY, when all is stored. */
const AFTERWARDS = {
  empty: () => ({ status: 202, headers: {} }),
  lost: (reply) => ({ ...reply, spoil: 'lost' }),
  cut: (reply) => ({ ...reply, spoil: 'cut' }),
  silent: (reply) => ({ ...reply, spoil: 'silent' }),
}

function describe(request, cloud) {
  const { api } = cloud
  const resource = request.path.replace(new RegExp(`^/${api.stage.StageName}(?=/|$)`), '')
  const id = randomUUID()
  const identity = { sourceIp: request.sourceIp, apiKey: '', apiKeyId: '', userArn: '', caller: '',
    userAgent: request.headers['user-agent'] ?? '' }
  const requestContext = { accountId: ACCOUNT, apiId: api.id, stage: api.stage.StageName,
    requestId: id, httpMethod: request.method, resourcePath: resource, path: request.path,
    requestTimeEpoch: Date.now(), identity }
  return { request, resource, requestContext, onStage: resource !== request.path,
    context: { ...requestContext, authorizer: {} }, body: request.body,
    type: mediaType(request.headers['content-type']),
    params: { header: request.headers, path: {},
      querystring: Object.fromEntries(new URLSearchParams(request.query)) },
    arn: `arn:aws:execute-api:${cloud.region}:${ACCOUNT}:${api.id}/${api.stage.StageName}/` +
      `${request.method}${resource}` }
}

function find(call, cloud) {
  call.method = call.onStage ? cloud.api.method(call.request.method, call.resource) : undefined
  if (call.method === undefined) {
    const code = call.onStage ? undefined : 'ForbiddenException'
    throw new GatewayError('MISSING_AUTHENTICATION_TOKEN',
      call.onStage ? 'Missing Authentication Token' : 'Forbidden', code)
  }
}

function decode(call) {
  if (call.request.tooLong || call.request.body.length > BODY_BYTES_MAX) {
    throw new GatewayError('REQUEST_TOO_LARGE', 'Request Too Long')
  }
  const coding = call.request.headers['content-encoding']?.toLowerCase() ?? 'identity'
  try {
    call.body = DECODERS[coding](call.request.body, { maxOutputLength: BODY_BYTES_MAX })
  } catch (error) {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new GatewayError('REQUEST_TOO_LARGE', 'Request Too Long')
    }
    throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'Unsupported Media Type')
  }
}

function validate(call, cloud) {
  const fault = cloud.api.invalid(call.method, call.type, call.body.toString())
  if (fault !== undefined) {
    cloud.lastInvalid = fault
    throw new GatewayError('BAD_REQUEST_BODY', 'Invalid request body')
  }
}

async function handle(call, cloud) {
  const instead = cloud.faults.first(...Object.keys(INSTEAD))
  if (instead !== undefined) return INSTEAD[instead]()
  const status = blocked(cloud.template, call.request)
  if (status === 403) throw new GatewayError('WAF_FILTERED', 'Forbidden')
  if (status !== undefined) return { status, headers: {} } // a custom response, without a body
  find(call, cloud)
  decode(call)
  checkPlace(call, cloud)
  await authorize(call, cloud)
  meter(call, cloud)
  if (!cloud.throttle.method(call.resource, call.request.method)) {
    throw new GatewayError('THROTTLED', 'Too Many Requests')
  }
  validate(call, cloud)
  const reply = await integrate(call, cloud)
  const fault = cloud.faults.first(...Object.keys(AFTERWARDS))
  return fault === undefined ? reply : AFTERWARDS[fault](reply)
}

/** The reply of the API of CLOUD to REQUEST. */
export async function answer(request, cloud) {
  const call = describe(request, cloud)
  let reply
  try {
    reply = await handle(call, cloud)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    reply = refusal(error, call, cloud.api.responses)
  }
  const ids = { 'x-amzn-requestid': call.context.requestId,
    'x-amz-apigw-id': randomBytes(11).toString('base64url') }
  cloud.count(reply.status)
  return { ...reply, headers: { ...ids, ...reply.headers } }
}
