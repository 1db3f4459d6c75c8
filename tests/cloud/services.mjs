// SPDX-License-Identifier: Apache-2.0
// Kinesis and Firehose as callers see them, directly or through API Gateway: one call, one reply,
// and what goes wrong on the way.
import { Refusal, ask, json } from './http.mjs'
import { verdict } from './policy.mjs'
import { ACCOUNT, REGION } from './template.mjs'

const TYPE = 'application/x-amz-json-1.1'
const TARGETS = { kinesis: 'Kinesis_20131202', firehose: 'Firehose_20150804' }
const BATCHES = {
  PutRecords: { results: 'Records', failed: 'FailedRecordCount',
    code: 'ProvisionedThroughputExceededException', text: 'Rate exceeded for shard.' },
  PutRecordBatch: { results: 'RequestResponses', failed: 'FailedPutCount',
    code: 'ServiceUnavailableException', text: 'Slow down.' },
}
const SLOW_DOWN = {
  kinesis: [400, 'ProvisionedThroughputExceededException', 'Rate exceeded for shard.'],
  firehose: [503, 'ServiceUnavailableException', 'Slow down.'],
}

/** An AWS service's error reply. */
export function failure(status, code, message) {
  const reply = json(status, { __type: code, message }, { 'x-amzn-errortype': code })
  reply.headers['content-type'] = TYPE
  return reply
}

// kinesalite wants a signature to be there, and looks at no more than that.
const SIGNED = { 'x-amz-date': '20150101T000000Z', authorization: 'AWS4-HMAC-SHA256 Credential=' +
  'AKID/20150101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0' }

/** Nobody is there: who asked directly has no connection. */
export class Unreachable extends Refusal {
  constructor() {
    super({ status: 503, headers: {}, spoil: 'lost' })
  }
}

export class Services {
  /** KINESIS: kinesalite's Absence; FIREHOSE: what answers (action, parameters). */
  constructor(kinesis, firehose, faults) {
    Object.assign(this, { kinesis, firehose, faults })
  }

  async forward(service, action, parameters) {
    const away = this.faults.strikes('away')
    if (service === 'kinesis') return this.forwardToKinesis(action, parameters, away)
    if (away) throw new Unreachable()
    return this.firehose.answer(action, parameters)
  }

  async forwardToKinesis(action, parameters, away) {
    await this.kinesis.set(away)
    try {
      return await ask(this.kinesis.port, 'POST', '/', { ...SIGNED, 'content-type': TYPE,
        connection: 'close', 'x-amz-target': `${TARGETS.kinesis}.${action}` },
      JSON.stringify(parameters))
    } catch (error) {
      throw error.code === 'ECONNREFUSED' ? new Unreachable() : error
    }
  }

  /** Forwards those records of a batch that no fault strikes; the others fail in the reply. */
  async batch(service, action, parameters) {
    const { results, failed, code, text } = BATCHES[action]
    const victims = parameters.Records.map(() => this.faults.strikes('records'))
    const rest = parameters.Records.filter((_, index) => !victims[index])
    let taken = []
    if (rest.length > 0) {
      const reply = await this.forward(service, action, { ...parameters, Records: rest })
      if (reply.status !== 200) return reply
      taken = JSON.parse(reply.body)[results]
    }
    const all = victims.map((struck) => struck ? { ErrorCode: code, ErrorMessage: text } :
      taken.shift())
    const count = all.filter((one) => one.ErrorCode !== undefined).length
    const reply = json(200, { [failed]: count, [results]: all })
    reply.headers['content-type'] = TYPE
    return reply
  }

  /** The reply of SERVICE to ACTION with the JSON text BODY. */
  async call(service, action, body) {
    if (this.faults.strikes('error')) return failure(500, 'InternalFailure', 'Internal failure.')
    if (this.faults.strikes('slow_down')) return failure(...SLOW_DOWN[service])
    let parameters
    try {
      parameters = JSON.parse(body)
    } catch {
      return failure(400, 'SerializationException', 'Could not parse request body')
    }
    const spoilt = this.faults.plans.records !== undefined && BATCHES[action] !== undefined &&
      Array.isArray(parameters.Records)
    return spoilt ? this.batch(service, action, parameters) :
      this.forward(service, action, parameters)
  }

  /** The reply to a request to the services' own endpoint, by its X-Amz-Target. */
  serve(service, request) {
    const [version, action] = (request.headers['x-amz-target'] ?? '').split('.')
    if (version !== TARGETS[service] || request.headers['content-type'] !== TYPE) {
      return failure(400, 'UnknownOperationException', null)
    }
    return this.call(service, action, request.body)
  }
}

/** What KEY, {arn, policies}, may not do of what REQUEST asks SERVICE for, as its error. */
export function denied(service, request, key) {
  if (key.policies === undefined) return undefined
  const action = `${service}:${request.headers['x-amz-target'].split('.')[1]}`
  const { StreamName, StreamARN, DeliveryStreamName } = parsed(request.body)
  const resource = StreamARN ?? `arn:aws:${service}:${REGION}:${ACCOUNT}:` +
    (service === 'kinesis' ? `stream/${StreamName}` : `deliverystream/${DeliveryStreamName}`)
  if (verdict(key.policies, action, resource) === 'Allow') return undefined
  return failure(400, 'AccessDeniedException',
    `User: ${key.arn} is not authorized to perform: ${action} on resource: ${resource}`)
}

// What is no JSON names nothing; the service itself says so to those who may ask.
function parsed(body) {
  try {
    return JSON.parse(body)
  } catch {
    return {}
  }
}

/** The service that an X-Amz-Target names. */
export function serviceOf(request) {
  const version = (request.headers['x-amz-target'] ?? '').split('.')[0]
  return Object.keys(TARGETS).find((name) => TARGETS[name] === version)
}
