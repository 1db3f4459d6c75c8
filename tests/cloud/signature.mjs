// SPDX-License-Identifier: Apache-2.0
// SigV4 as a server sees it, with nothing of the agent's: is this request signed with a key that I
// know, for my service and region, now?
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

const SKEW_MS_MAX = 5 * 60 * 1000
const AUTHORIZATION = new RegExp('^AWS4-HMAC-SHA256 Credential=([^/, ]+)/(\\d{8})/([^/, ]+)/' +
  '([^/, ]+)/aws4_request, ?SignedHeaders=([^, ]+), ?Signature=([0-9a-f]{64})$')

const hash = (data) => createHash('sha256').update(data).digest('hex')
const hmac = (key, text) => createHmac('sha256', key).update(text).digest()

/** Why a request is refused: an AWS error code and its message. */
export class SignatureError extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

// RFC 3986, as SigV4 wants it: encodeURIComponent leaves five characters too many.
export function encode(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g,
    (one) => '%' + one.charCodeAt(0).toString(16).toUpperCase())
}

// S3 takes the path as it is sent; every other service encodes that once more.
function canonicalPath(path, service) {
  return service === 's3' ? path : path.split('/').map(encode).join('/')
}

function canonicalQuery(query) {
  const pairs = query === '' ? [] : query.split('&').map((pair) => {
    const [name, value = ''] = pair.split(/=(.*)/s)
    return `${encode(decodeURIComponent(name))}=${encode(decodeURIComponent(value))}`
  })
  return pairs.sort().join('&')
}

function canonicalRequest(request, service, signedNames, payloadHash) {
  const lines = signedNames.map((name) => {
    const value = request.headers[name]
    if (value === undefined) {
      throw new SignatureError('InvalidSignatureException', `The signed header ${name} is missing.`)
    }
    return `${name}:${value.trim().replace(/ +/g, ' ')}\n`
  })
  return [request.method, canonicalPath(request.path, service), canonicalQuery(request.query),
    lines.join(''), signedNames.join(';'), payloadHash].join('\n')
}

function signatureOf(canonical, secret, stamp, day, region, service) {
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, hash(canonical)].join('\n')
  const key = [day, region, service, 'aws4_request'].reduce(hmac, 'AWS4' + secret)
  return hmac(key, toSign).toString('hex')
}

function timeOf(stamp) {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp ?? '')
  return parts ? Date.UTC(parts[1], parts[2] - 1, ...parts.slice(3)) : NaN
}

function checkTime(stamp) {
  const skew = timeOf(stamp) - Date.now()
  if (Number.isNaN(skew)) {
    throw new SignatureError('IncompleteSignatureException', 'Date in X-Amz-Date is malformed.')
  }
  if (Math.abs(skew) > SKEW_MS_MAX) {
    const what = skew < 0 ? 'expired' : 'not yet current'
    throw new SignatureError('InvalidSignatureException', `Signature ${what}: ${stamp}`)
  }
}

function checkKey(key, token) {
  if (key === undefined || (key.token ?? '') !== (token ?? '')) {
    throw new SignatureError('UnrecognizedClientException',
      'The security token included in the request is invalid.')
  }
  if (key.expired) {
    throw new SignatureError('ExpiredTokenException',
      'The security token included in the request is expired')
  }
}

function checkPayload(request, service) {
  const announced = request.headers['x-amz-content-sha256']
  if (service === 's3' && announced === undefined) {
    throw new SignatureError('InvalidRequest', 'Missing required header x-amz-content-sha256')
  }
  const real = hash(request.body)
  if (announced !== undefined && announced !== real) {
    throw new SignatureError('XAmzContentSHA256Mismatch',
      'The provided \'x-amz-content-sha256\' header does not match what was computed.')
  }
  return real
}

function checkScope(scope, service, region) {
  if (scope.service !== service || scope.region !== region) {
    throw new SignatureError('InvalidSignatureException', 'Credential should be scoped to ' +
      `${region}/${service}, not ${scope.region}/${scope.service}.`)
  }
}

/**
 * The access key that REQUEST is rightly signed with, for SERVICE in REGION. KEYS: {access key:
 * {secret, token, expired}}. Throws SignatureError; of code MissingAuthenticationToken where there
 * is no signature at all.
 */
export function verify(request, keys, service, region) {
  const header = request.headers.authorization
  if (header === undefined) {
    throw new SignatureError('MissingAuthenticationTokenException', 'Missing Authentication Token')
  }
  const found = AUTHORIZATION.exec(header)
  if (!found) {
    throw new SignatureError('IncompleteSignatureException',
      `Authorization header is not one of AWS4-HMAC-SHA256: ${header.slice(0, 40)}`)
  }
  const [, access, day, scopeRegion, scopeService, names, signature] = found
  const stamp = request.headers['x-amz-date']
  checkScope({ region: scopeRegion, service: scopeService }, service, region)
  checkKey(keys[access], request.headers['x-amz-security-token'])
  checkTime(stamp)
  const signedNames = names.split(';')
  if (!signedNames.includes('host') || !stamp.startsWith(day)) {
    throw new SignatureError('InvalidSignatureException', 'Host or date is not what was signed.')
  }
  const canonical = canonicalRequest(request, service, signedNames, checkPayload(request, service))
  const right = signatureOf(canonical, keys[access].secret, stamp, day, region, service)
  if (!timingSafeEqual(Buffer.from(right), Buffer.from(signature))) {
    throw new SignatureError('InvalidSignatureException', 'The request signature we calculated ' +
      'does not match the signature you provided. Check your AWS Secret Access Key and signing ' +
      'method. Consult the service documentation for details.')
  }
  return access
}
