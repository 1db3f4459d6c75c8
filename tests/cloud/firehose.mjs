// SPDX-License-Identifier: Apache-2.0
// Data Firehose's PutRecord and PutRecordBatch for the template's delivery streams.
import { randomBytes } from 'node:crypto'
import { Delivery } from './delivery.mjs'
import { json } from './http.mjs'
import { aggregation } from './modules.mjs'
import { failure } from './services.mjs'

const RECORDS_MAX = 500
const BATCH_BYTES_MAX = 4 << 20
const RECORD_BYTES_MAX = 1000 << 10
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const invalid = (message) => failure(400, 'InvalidArgumentException', message)
const constraint = (where, what) => failure(400, 'ValidationException',
  `1 validation error detected: Value at '${where}' failed to satisfy constraint: Member ${what}`)

function faultOf(records) {
  if (!Array.isArray(records) || records.length === 0 || records.length > RECORDS_MAX) {
    return constraint('records', `must have length between 1 and ${RECORDS_MAX}`)
  }
  let bytes = 0
  for (const [index, record] of records.entries()) {
    const where = `records.${index + 1}.member.data`
    if (typeof record?.Data !== 'string') return constraint(where, 'must not be null')
    if (!BASE64.test(record.Data)) {
      return failure(400, 'SerializationException', 'Data is not base64')
    }
    const one = Buffer.byteLength(record.Data, 'base64')
    if (one > RECORD_BYTES_MAX) {
      return constraint(where, `must have length less than or equal to ${RECORD_BYTES_MAX}`)
    }
    bytes += one
  }
  return bytes > BATCH_BYTES_MAX ? invalid('Records size exceeds 4 MB limit') : undefined
}

/** What is in an aggregate of the KPL; what is none, or is damaged, as it is. */
function userRecords(data) {
  const record = { data: data.toString('base64'), partitionKey: '', sequenceNumber: '' }
  let found
  aggregation.deaggregateSync(record, true, (error, users) => { found = error ? undefined : users })
  return found?.map((one) => Buffer.from(one.data, 'base64')) ?? [data]
}

export class Firehose {
  constructor(template, functions, store) {
    const one = (id, stream) => ({ type: stream.DeliveryStreamType ?? 'DirectPut', delivery:
      new Delivery(template.name(id), template.arn(id), stream, functions, store) })
    this.streams = new Map(template.all('AWS::KinesisFirehose::DeliveryStream')
      .map(([id, stream]) => [template.name(id), one(id, stream)]))
    this.counts = { requests: 0, records: 0 }
  }

  /** The stream NAME reads RECORDS, an array of bytes, from its source, aggregates taken apart. */
  read(name, records) {
    return this.take(name, records.flatMap(userRecords))
  }

  take(name, records) {
    this.counts.records += records.length
    const { delivery } = this.streams.get(name)
    return records.map((data) => {
      const id = randomBytes(28).toString('hex')
      delivery.push(id, data)
      return id
    })
  }

  /** The reply to ACTION with PARAMETERS. */
  answer(action, parameters) {
    this.counts.requests += 1
    if (!['PutRecord', 'PutRecordBatch'].includes(action)) {
      return failure(400, 'UnknownOperationException', null)
    }
    const name = parameters.DeliveryStreamName
    if (typeof name !== 'string') return constraint('deliveryStreamName', 'must not be null')
    const stream = this.streams.get(name)
    if (stream === undefined) {
      return failure(400, 'ResourceNotFoundException',
        `Firehose ${name} under account 123456789012 not found.`)
    }
    if (stream.type !== 'DirectPut') {
      return invalid(`This operation is not permitted on ${stream.type} delivery stream type.`)
    }
    const records = action === 'PutRecord' ? [parameters.Record] : parameters.Records
    const fault = faultOf(records)
    if (fault !== undefined) return fault
    const ids = this.take(name, records.map((one) => Buffer.from(one.Data, 'base64')))
    return json(200, action === 'PutRecord' ? { RecordId: ids[0], Encrypted: true } :
      { FailedPutCount: 0, Encrypted: true,
        RequestResponses: ids.map((id) => ({ RecordId: id })) },
    { 'content-type': 'application/x-amz-json-1.1' })
  }

  /** Delivers what is buffered, whatever the hints say. */
  async flush() {
    for (const { delivery } of this.streams.values()) await delivery.flush()
  }
}
