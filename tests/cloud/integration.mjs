// SPDX-License-Identifier: Apache-2.0
// From a method to what is behind it, and back: mapping templates, the service or the function,
// and the integration response that its status selects.
import { GatewayError } from './responses.mjs'
import { MappingError, render } from './mapping.mjs'
import { verdict } from './policy.mjs'
import { Unreachable, failure } from './services.mjs'
import { ACCOUNT, REGION } from './template.mjs'

const PAYLOAD_BYTES_MAX = 6 << 20 // of an invocation
const ACTION = /:apigateway:[^:]+:(kinesis|firehose):action\/(\w+)$/

const misconfigured = () => new GatewayError('API_CONFIGURATION_ERROR', 'Internal server error')
const mediaType = (header) => (header ?? 'application/json').split(';')[0].trim().toLowerCase()

function wrong(error) {
  if (!(error instanceof MappingError)) throw error
  console.error(error.message)
  return misconfigured()
}

/** The template for the request's content type; null where the body passes as it is. */
function templateFor(integration, type) {
  const templates = integration.RequestTemplates ?? {}
  const behaviour = integration.PassthroughBehavior ?? 'WHEN_NO_MATCH'
  if (templates[type] !== undefined) return templates[type]
  const passes = { NEVER: false, WHEN_NO_MATCH: true,
    WHEN_NO_TEMPLATES: Object.keys(templates).length === 0 }[behaviour]
  if (!passes) throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'Unsupported Media Type')
  return null
}

/** What the body is to a template: text, or base64 of it where the API says so. */
function bodyText(call, cloud) {
  const binary = cloud.api.binaryTypes.some((one) => [call.type, '*/*'].includes(one))
  const { ContentHandling } = call.method.Integration
  return call.body.toString(binary && ContentHandling === 'CONVERT_TO_TEXT' ? 'base64' : 'utf8')
}

function requestTo(call, cloud) {
  const template = templateFor(call.method.Integration, call.type)
  const text = bodyText(call, cloud)
  if (template === null) return text
  try {
    return render(template, text, { params: call.params, context: call.context,
      stageVariables: cloud.api.stage.Variables })
  } catch (error) {
    throw wrong(error)
  }
}

// The role must let API Gateway do just this, on the resource that the request names.
function allowed(call, service, action, body, cloud) {
  const policies = cloud.template.policiesOf(call.method.Integration.Credentials)
  if (policies === undefined) return false
  let names = {}
  try {
    names = JSON.parse(body)
  } catch {
    return true // the service itself refuses what is not JSON
  }
  const resource = service === 'kinesis' ? `stream/${names.StreamName}` :
    `deliverystream/${names.DeliveryStreamName}`
  return verdict(policies, `${service}:${action}`,
    `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`) === 'Allow'
}

function parametersOf(integration) {
  return Object.fromEntries(Object.entries(integration.RequestParameters ?? {})
    .map(([name, value]) => [name.toLowerCase(), value.replace(/^'(.*)'$/s, '$1')]))
}

async function askService(call, cloud) {
  const { Integration: integration } = call.method
  const [, service, action] = ACTION.exec(integration.Uri) ?? []
  if (service === undefined) throw misconfigured()
  const body = requestTo(call, cloud)
  cloud.lastMapped = body
  if (!allowed(call, service, action, body, cloud)) {
    return failure(400, 'AccessDeniedException', `User: ${integration.Credentials} is not ` +
      `authorized to perform: ${service}:${action}`)
  }
  const type = parametersOf(integration)['integration.request.header.content-type']
  if (type !== 'application/x-amz-json-1.1') {
    return failure(400, 'SerializationException', `Content-Type ${type}`)
  }
  try {
    return await cloud.services.call(service, action, body)
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    throw new GatewayError('INTEGRATION_FAILURE', 'Network error communicating with endpoint')
  }
}

/** The integration response whose pattern STATUS matches whole; the default has none. */
function selected(responses, status) {
  return responses.find((one) => one.SelectionPattern &&
    new RegExp(`^(?:${one.SelectionPattern})$`).test(String(status))) ??
    responses.find((one) => !one.SelectionPattern)
}

function headersOf(response, reply) {
  const prefix = 'method.response.header.'
  const values = Object.entries(response.ResponseParameters ?? {}).map(([name, value]) => {
    const from = /^integration\.response\.header\.(.+)$/.exec(value)
    return [name.slice(prefix.length).toLowerCase(),
      from ? reply.headers[from[1].toLowerCase()] : value.replace(/^'(.*)'$/s, '$1')]
  })
  return Object.fromEntries(values.filter(([, value]) => value !== undefined))
}

function replyOf(call, cloud, reply) {
  const response = selected(call.method.Integration.IntegrationResponses ?? [], reply.status)
  if (!call.method.MethodResponses?.some((one) => one.StatusCode === response?.StatusCode)) {
    throw misconfigured()
  }
  const template = response.ResponseTemplates?.['application/json']
  const context = { ...call.context, responseOverride: { header: {} } }
  let body = reply.body
  if (template !== undefined) {
    try {
      body = Buffer.from(render(template, reply.body.toString(), { params: call.params, context }))
    } catch (error) {
      throw wrong(error)
    }
  }
  const status = Number(context.responseOverride.status ?? response.StatusCode)
  return { status, body, headers: { 'content-type': 'application/json',
    ...headersOf(response, reply), ...context.responseOverride.header } }
}

function proxyEvent(call, cloud) {
  const binary = cloud.api.binaryTypes.some((one) => [call.type, '*/*'].includes(one))
  const several = Object.fromEntries(Object.entries(call.request.headers)
    .map(([name, value]) => [name, [value]]))
  return { resource: call.resource, path: call.resource, httpMethod: call.request.method,
    headers: call.request.headers, multiValueHeaders: several,
    queryStringParameters: call.params.querystring, pathParameters: null,
    stageVariables: cloud.api.stage.Variables ?? null, isBase64Encoded: binary,
    body: call.body.toString(binary ? 'base64' : 'utf8'), requestContext: call.requestContext }
}

async function askFunction(call, cloud) {
  const event = proxyEvent(call, cloud)
  if (Buffer.byteLength(JSON.stringify(event)) > PAYLOAD_BYTES_MAX) {
    throw new GatewayError('REQUEST_TOO_LARGE', 'Request Too Long')
  }
  const answer = await cloud.functions.invoke(call.method.Integration.Uri, event)
  const { statusCode, headers = {}, body = '', isBase64Encoded } = answer.value ?? {}
  if (!Number.isInteger(Number(statusCode)) || typeof body !== 'string') {
    throw new GatewayError('INTEGRATION_FAILURE', 'Internal server error')
  }
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)])
  return { status: Number(statusCode),
    headers: { 'content-type': 'application/json', ...Object.fromEntries(lower) },
    body: Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8') }
}

/** The reply of what is behind CALL's method. */
export async function integrate(call, cloud) {
  if (call.method.Integration.Type === 'AWS_PROXY') return askFunction(call, cloud)
  return replyOf(call, cloud, await askService(call, cloud))
}

export { mediaType }
