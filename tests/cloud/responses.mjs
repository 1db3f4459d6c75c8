// SPDX-License-Identifier: Apache-2.0
// What API Gateway answers by itself: its gateway responses, as the template changes them.
import { json } from './http.mjs'

// Type: status, x-amzn-ErrorType, and the member of the body that holds the message: what IAM and
// authorizers refuse has a capital one.
const TYPES = {
  ACCESS_DENIED: [403, 'AccessDeniedException', 'Message'],
  API_CONFIGURATION_ERROR: [500, 'InternalServerErrorException'],
  AUTHORIZER_CONFIGURATION_ERROR: [500, 'AuthorizerConfigurationException'],
  BAD_REQUEST_BODY: [400, 'BadRequestException'],
  BAD_REQUEST_PARAMETERS: [400, 'BadRequestException'],
  EXPIRED_TOKEN: [403, 'ExpiredTokenException'],
  INTEGRATION_FAILURE: [504, 'InternalServerErrorException'],
  INVALID_API_KEY: [403, 'ForbiddenException'],
  INVALID_SIGNATURE: [403, 'InvalidSignatureException'],
  MISSING_AUTHENTICATION_TOKEN: [403, 'MissingAuthenticationTokenException'],
  QUOTA_EXCEEDED: [429, 'LimitExceededException'],
  REQUEST_TOO_LARGE: [413, 'RequestTooLargeException'],
  SERVICE_UNAVAILABLE: [503, 'ServiceUnavailableException'],
  THROTTLED: [429, 'TooManyRequestsException'],
  UNAUTHORIZED: [401, 'UnauthorizedException'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'BadRequestException'],
  WAF_FILTERED: [403, 'ForbiddenException'],
}

/** API Gateway refuses by itself: TYPE of its gateway responses, MESSAGE, perhaps another CODE. */
export class GatewayError extends Error {
  constructor(type, message, code) {
    super(message ?? type)
    Object.assign(this, { type, text: message, code: code ?? TYPES[type][1] })
  }
}

// $context.error.* and the like; a gateway response's template knows no more of Velocity.
function fill(template, error, call) {
  const values = { 'context.error.messageString': JSON.stringify(error.text),
    'context.error.message': error.text ?? '', 'context.error.responseType': error.type,
    'context.requestId': call.context.requestId }
  return template.replace(/\$\{?([\w.]+)\}?/g, (text, name) => values[name] ?? text)
}

function literals(parameters = {}) {
  const prefix = 'gatewayresponse.header.'
  return Object.fromEntries(Object.entries(parameters)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => [name.slice(prefix.length), value.replace(/^'(.*)'$/s, '$1')]))
}

/** The reply to ERROR, as CUSTOM, the API's {type: GatewayResponse}, has it. */
export function refusal(error, call, custom) {
  const [status, , member = 'message'] = TYPES[error.type]
  const changed = custom[error.type] ?? custom[status < 500 ? 'DEFAULT_4XX' : 'DEFAULT_5XX'] ?? {}
  const headers = { 'x-amzn-errortype': error.code, ...literals(changed.ResponseParameters) }
  const template = changed.ResponseTemplates?.['application/json']
  const reply = json(Number(changed.StatusCode ?? status), { [member]: error.text }, headers)
  if (template !== undefined) reply.body = Buffer.from(fill(template, error, call))
  return reply
}
