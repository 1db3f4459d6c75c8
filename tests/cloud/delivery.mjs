// SPDX-License-Identifier: Apache-2.0
// A delivery stream's way to S3: buffered, transformed, partitioned, compressed, and written where
// its configuration says.
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'

const REPLY_BYTES_MAX = 6 << 20
const TRANSFORM_BYTES = 1 << 20
const RETRIES = 3
const PART = /!\{(\w+):([^}]+)\}/g

const pad = (number, width = 2) => String(number).padStart(width, '0')

/** TIME as Java's DateTimeFormatter writes PATTERN, of which y M d H m s and 'text' are known. */
export function javaTime(pattern, time) {
  const fields = { y: time.getUTCFullYear(), M: time.getUTCMonth() + 1, d: time.getUTCDate(),
    H: time.getUTCHours(), m: time.getUTCMinutes(), s: time.getUTCSeconds() }
  return pattern.replace(/'([^']*)'|([A-Za-z])\2*/g, (text, literal, letter) => {
    if (literal !== undefined) return literal
    if (fields[letter] === undefined) throw new Error(`timestamp pattern ${pattern}: ${letter}`)
    return pad(fields[letter], text.length)
  })
}

const randomString = () => randomBytes(9).toString('base64url').slice(0, 11)

/** PREFIX with its !{namespace:value} expressions evaluated. */
export function evaluate(prefix, time, { keys = {}, errorType = '' } = {}) {
  return prefix.replace(PART, (text, namespace, value) => {
    if (namespace === 'timestamp') return javaTime(value, time)
    if (text === '!{firehose:error-output-type}') return errorType
    if (text === '!{firehose:random-string}') return randomString()
    if (namespace.startsWith('partitionKeyFrom') && keys[value] !== undefined) return keys[value]
    throw new Error(`prefix ${prefix}: ${text} has no value`)
  })
}

// A prefix without any expression gets the time behind it.
function byTime(prefix, time) {
  const whole = prefix.includes('!{') ? prefix : prefix + '!{timestamp:yyyy/MM/dd/HH}/'
  return whole.replace(PART, (text) => text.startsWith('!{timestamp') ? evaluate(text, time) : text)
}

function processors(configuration, type) {
  if (!isOn(configuration?.Enabled)) return []
  return (configuration.Processors ?? []).filter((one) => one.Type === type).map((one) =>
    Object.fromEntries((one.Parameters ?? []).map((pair) =>
      [pair.ParameterName, pair.ParameterValue])))
}

// CloudFormation's booleans come as texts, too.
const isOn = (value) => String(value) === 'true'

/** RECORDS in parts of at most BYTES, each of at least one record. */
function parts(records, bytes) {
  const all = []
  let room = -1
  for (const record of records) {
    if (record.data.length > room) {
      all.push([])
      room = bytes
    }
    all.at(-1).push(record)
    room -= record.data.length
  }
  return all
}

const failed = (records, code, message, attempts = 1) => records.map((record) =>
  ({ ...record, failure: { code, message, attempts } }))

/** Runs the transformation Lambda over records, and holds it to what Firehose asks of it. */
class Transformation {
  constructor(streamArn, parameters, functions) {
    Object.assign(this, { streamArn, functions, arn: parameters.LambdaArn })
    this.retries = Number(parameters.NumberOfRetries ?? RETRIES)
    this.bytes = Number(parameters.BufferSizeInMBs ?? 1) * TRANSFORM_BYTES
  }

  event(records) {
    return { invocationId: randomUUID(), deliveryStreamArn: this.streamArn,
      region: this.streamArn.split(':')[3],
      records: records.map((one) => ({ recordId: one.id, data: one.data.toString('base64'),
        approximateArrivalTimestamp: one.arrival.getTime() })) }
  }

  async invoke(records) {
    let answer
    for (let attempt = 0; attempt <= this.retries; attempt++) {
      answer = await this.functions.invoke(this.arn, this.event(records))
      if (answer.errorType === undefined) return this.judge(records, answer.value)
    }
    return failed(records, 'Lambda.FunctionError', answer.errorMessage, this.retries + 1)
  }

  judge(records, value) {
    if (JSON.stringify(value).length > REPLY_BYTES_MAX) {
      return failed(records, 'Lambda.FunctionError', 'the reply is longer than 6 MiB')
    }
    const answers = new Map(value.records.map((one) => [one.recordId, one]))
    if (answers.size !== records.length || value.records.length !== records.length ||
        !records.every((one) => answers.has(one.id))) {
      return failed(records, 'Lambda.MissingRecordId', 'One or more record Ids were not returned.')
    }
    return records.map((record) => this.one(record, answers.get(record.id)))
      .filter((record) => record !== undefined)
  }

  one(record, answer) {
    if (answer.result === 'Dropped') return undefined
    if (answer.result !== 'Ok') {
      return failed([record], 'Lambda.ProcessingFailedStatus',
        'ProcessingFailed status set for record')[0]
    }
    return { ...record, data: Buffer.from(answer.data, 'base64'),
      keys: answer.metadata?.partitionKeys ?? {} }
  }

  async run(records) {
    const done = []
    for (const part of parts(records, this.bytes)) done.push(...await this.invoke(part))
    return done
  }
}

/** The JSON documents that stand one behind the other in TEXT, or undefined. */
export function documents(text) {
  const found = []
  let depth = 0
  let from = -1
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]|[^\s"[\]{}]+/g)) {
    if (depth === 0) from = index
    if ('[{'.includes(token)) depth += 1
    if (']}'.includes(token)) depth -= 1
    if (depth === 0) found.push(text.slice(from, index + token.length))
  }
  try {
    found.forEach((one) => JSON.parse(one))
  } catch {
    return undefined
  }
  return depth === 0 ? found : undefined
}

/** Several records of one that holds several documents. */
function deaggregate(records) {
  return records.flatMap((record) => documents(record.data.toString())?.map((text, index) =>
    ({ ...record, id: `${record.id}.${index}`, data: Buffer.from(text) })) ??
    failed([record], 'DynamicPartitioning.RecordDeaggregationFailed', 'not JSON documents'))
}

/** The keys that a jq QUERY finds in each record; undefined for those in which it finds none. */
function extract(records, query) {
  return records.map((record) => {
    try {
      const options = { input: record.data, stdio: ['pipe', 'pipe', 'ignore'] }
      const keys = JSON.parse(execFileSync('jq', ['-c', query], options).toString())
      if (Object.values(keys).some((value) => value === null || value === '')) throw new Error()
      return { ...record, keys: { ...record.keys, ...keys } }
    } catch {
      return failed([record], 'DynamicPartitioning.MetadataExtractionFailed',
        'partitionKeys values must not be null or empty')[0]
    }
  })
}

export class Delivery {
  constructor(name, arn, stream, functions, store) {
    Object.assign(this, { name, arn, store, buffer: [], bytes: 0, last: Promise.resolve() })
    this.to = stream.ExtendedS3DestinationConfiguration
    const [lambda] = processors(this.to?.ProcessingConfiguration, 'Lambda')
    this.transformation = lambda && new Transformation(arn, lambda, functions)
    this.counts = { objects: 0, records: 0, dropped: 0, failed: 0 }
  }

  push(id, data) {
    this.buffer.push({ id, data, arrival: new Date() })
    this.bytes += data.length
    const hints = this.to?.BufferingHints ?? {}
    if (this.bytes >= Number(hints.SizeInMBs ?? 5) << 20) {
      this.flush()
    } else if (this.buffer.length === 1) {
      this.timer = setTimeout(() => this.flush(), Number(hints.IntervalInSeconds ?? 300) * 1000)
      this.timer.unref()
    }
  }

  /** Delivers the buffer; resolves when that and all before it are in S3. */
  flush() {
    clearTimeout(this.timer)
    const records = this.buffer
    this.buffer = []
    this.bytes = 0
    this.last = this.last.then(() => this.deliver(records))
    return this.last
  }

  async deliver(records) {
    if (records.length === 0) return
    if (this.to === undefined) throw new Error(`${this.name} does not deliver to S3`)
    if (isOn(this.to.DataFormatConversionConfiguration?.Enabled)) {
      throw new Error(`${this.name} converts to a columnar format, which is not known here`)
    }
    if (this.to.S3BackupMode === 'Enabled') await this.backUp(records)
    const done = await this.process(records)
    this.counts.dropped += records.length - done.length
    const good = done.filter((one) => one.failure === undefined)
    for (const [prefix, group] of this.byPrefix(good)) {
      await this.write(this.to, prefix, group.map((one) => one.data))
    }
    this.counts.records += good.length
    await this.setAside(done.filter((one) => one.failure !== undefined))
  }

  async process(records) {
    const { ProcessingConfiguration: configuration, DynamicPartitioningConfiguration } = this.to
    let done = records
    const split = async (change) => {
      const good = done.filter((one) => one.failure === undefined)
      done = [...await change(good), ...done.filter((one) => one.failure !== undefined)]
    }
    for (const one of processors(configuration, 'RecordDeAggregation')) {
      if (one.SubRecordType !== 'JSON') throw new Error('RecordDeAggregation other than JSON')
      await split(deaggregate)
    }
    if (this.transformation) await split((good) => this.transformation.run(good))
    if (isOn(DynamicPartitioningConfiguration?.Enabled)) {
      for (const one of processors(configuration, 'MetadataExtraction')) {
        await split((good) => extract(good, one.MetadataExtractionQuery))
      }
    }
    for (const one of processors(configuration, 'AppendDelimiterToRecord')) {
      const delimiter = Buffer.from((one.Delimiter ?? '\\n').replace(/\\n/g, '\n'))
      await split((good) => good.map((record) =>
        ({ ...record, data: Buffer.concat([record.data, delimiter]) })))
    }
    return done
  }

  // Of an object's records the oldest one's arrival is the object's time.
  byPrefix(records) {
    const groups = new Map()
    const { Prefix = '' } = this.to
    for (const record of records) {
      const prefix = evaluate(byTime(Prefix, records[0].arrival), record.arrival, record)
      if (!groups.has(prefix)) groups.set(prefix, [])
      groups.get(prefix).push(record)
    }
    return groups
  }

  async write({ BucketARN, CompressionFormat, FileExtension }, prefix, data) {
    const zipped = CompressionFormat === 'GZIP'
    if (!zipped && ![undefined, 'UNCOMPRESSED'].includes(CompressionFormat)) {
      throw new Error(`compression ${CompressionFormat} is not known here`)
    }
    const body = Buffer.concat(data)
    const stamp = javaTime('yyyy-MM-dd-HH-mm-ss', new Date())
    const key = `${prefix}${this.name}-1-${stamp}-${randomUUID()}` +
      (FileExtension ?? (zipped ? '.gz' : ''))
    await this.store.put(BucketARN.split(':').at(-1), key, zipped ? gzipSync(body) : body)
    this.counts.objects += 1
  }

  async backUp(records) {
    const to = this.to.S3BackupConfiguration
    await this.write(to, evaluate(byTime(to.Prefix ?? '', records[0].arrival), records[0].arrival),
      records.map((one) => one.data))
  }

  async setAside(records) {
    if (records.length === 0) return
    this.counts.failed += records.length
    const lines = records.map(({ failure, ...one }) => JSON.stringify({
      attemptsMade: failure.attempts, arrivalTimestamp: one.arrival.getTime(),
      errorCode: failure.code, errorMessage: failure.message,
      attemptEndingTimestamp: Date.now(), rawData: one.data.toString('base64'),
      lambdaArn: this.transformation?.arn }) + '\n')
    const where = this.to.ErrorOutputPrefix ?? (this.to.Prefix ?? '') +
      '!{firehose:error-output-type}/'
    const prefix = evaluate(byTime(where, records[0].arrival), records[0].arrival,
      { errorType: 'processing-failed' })
    await this.write(this.to, prefix, lines.map((line) => Buffer.from(line)))
  }
}
