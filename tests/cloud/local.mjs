// SPDX-License-Identifier: Apache-2.0
// The services behind the template's resources: Kinesis, DynamoDB and S3 that others wrote, and as
// much of SQS and Secrets Manager as its functions use.
import http from 'node:http'
import { createHash, randomUUID } from 'node:crypto'
import { Absence, answering, ask, json, listen } from './http.mjs'
import { Dynamo } from './dynamo.mjs'
import { S3rver, dynalite, kinesalite } from './modules.mjs'
import { failure } from './services.mjs'

// All of them want a signature to be there, and look at no more than that.
export const SIGNED = { connection: 'close', 'x-amz-date': '20150101T000000Z',
  authorization: 'AWS4-HMAC-SHA256 Credential=AKID/20150101/eu-west-1/any/aws4_request, ' +
    'SignedHeaders=host, Signature=0' }

async function rpc(port, target, type, parameters) {
  const reply = await ask(port, 'POST', '/', { ...SIGNED, 'content-type': type,
    'x-amz-target': target }, JSON.stringify(parameters))
  if (reply.status !== 200) throw new Error(`${target}: ${reply.status} ${reply.body}`)
  return reply.body
}

async function startKinesis(template, shards) {
  const server = kinesalite({ createStreamMs: 0, shardLimit: 1000 })
  const port = await listen(server)
  for (const [id, stream] of template.all('AWS::Kinesis::Stream')) {
    await rpc(port, 'Kinesis_20131202.CreateStream', 'application/x-amz-json-1.1',
      { StreamName: template.name(id), ShardCount: shards ?? Number(stream.ShardCount ?? 4) })
  }
  return new Absence(server, port)
}

async function startDynamo(template, faults) {
  const port = await listen(dynalite({ createTableMs: 0 }))
  for (const [id, table] of template.all('AWS::DynamoDB::Table')) {
    const { AttributeDefinitions, KeySchema } = table
    await rpc(port, 'DynamoDB_20120810.CreateTable', 'application/x-amz-json-1.0',
      { TableName: template.name(id), AttributeDefinitions, KeySchema,
        ProvisionedThroughput: { ReadCapacityUnits: 1000, WriteCapacityUnits: 1000 } })
  }
  const keys = Object.fromEntries(template.all('AWS::DynamoDB::Table').map(([id, table]) =>
    [template.name(id), table.KeySchema.map((one) => one.AttributeName)]))
  const dynamo = new Dynamo(port, keys, SIGNED, faults)
  return { dynamo, port: await plain(dynamo) }
}

async function startS3(template, directory) {
  const configureBuckets = template.all('AWS::S3::Bucket').map(([id]) =>
    ({ name: template.name(id) }))
  const server = new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory,
    configureBuckets })
  return (await server.run()).port
}

/** Writes objects into the local S3. */
export class Store {
  constructor(port) {
    this.port = port
  }

  async put(bucket, key, body) {
    const path = `/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`
    const reply = await ask(this.port, 'PUT', path, { connection: 'close' }, body)
    if (reply.status !== 200) throw new Error(`PUT ${path}: ${reply.status} ${reply.body}`)
  }
}

const md5 = (text) => createHash('md5').update(text).digest('hex')

// Newer clients speak JSON to SQS, Debian's speaks the query protocol.
function sentByQuery(form) {
  const batch = [...form].map(([name]) => /^SendMessageBatchRequestEntry\.(\d+)\.Id$/.exec(name))
    .filter((found) => found)
  const entries = batch.map(([name, number]) => ({ Id: form.get(name),
    MessageBody: form.get(`SendMessageBatchRequestEntry.${number}.MessageBody`) }))
  return form.get('Action') === 'SendMessageBatch' ? entries :
    [{ Id: 'one', MessageBody: form.get('MessageBody') }]
}

/** Queues that only take messages: what lies in them is for the test to see. */
export class Queues {
  constructor() {
    this.messages = {}
  }

  answer(request) {
    const form = new URLSearchParams(request.body.toString())
    const action = form.get('Action')
    if (!['SendMessage', 'SendMessageBatch'].includes(action)) {
      return failure(400, 'AWS.SimpleQueueService.UnsupportedOperation', action)
    }
    const queue = (form.get('QueueUrl') ?? request.path).split('/').at(-1)
    const results = sentByQuery(form).map(({ Id, MessageBody }) => {
      (this.messages[queue] ??= []).push(MessageBody)
      return { Id, MessageId: randomUUID(), MD5OfMessageBody: md5(MessageBody) }
    })
    const texts = results.map((one) => (action === 'SendMessage' ?
      `<MessageId>${one.MessageId}</MessageId><MD5OfMessageBody>${one.MD5OfMessageBody}` +
      '</MD5OfMessageBody>' :
      `<SendMessageBatchResultEntry><Id>${one.Id}</Id><MessageId>${one.MessageId}</MessageId>` +
      `<MD5OfMessageBody>${one.MD5OfMessageBody}</MD5OfMessageBody></SendMessageBatchResultEntry>`))
    return { status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(
      `<${action}Response><${action}Result>${texts.join('')}</${action}Result><ResponseMetadata>` +
      `<RequestId>0</RequestId></ResponseMetadata></${action}Response>`) }
  }
}

/** Secrets Manager's GetSecretValue over the secrets that the test put there. */
export class Secrets {
  constructor() {
    this.values = {}
    this.reads = 0
  }

  answer(request) {
    this.reads += 1
    const { SecretId } = JSON.parse(request.body.toString())
    const name = SecretId.split(':').at(-1).replace(/-000000$/, '')
    if (this.values[name] === undefined) {
      return failure(400, 'ResourceNotFoundException',
        'Secrets Manager can\'t find the specified secret.')
    }
    return json(200, { Name: name, SecretString: this.values[name], VersionId: '1' })
  }
}

function plain(handler) {
  return listen(http.createServer(answering((request) => handler.answer(request))))
}

/** Starts all of it; resolves to the ports by their services' names, and what stands behind some. */
export async function startServices(template, directory, shards, faults) {
  const queues = new Queues()
  const secrets = new Secrets()
  const [kinesis, table, s3, sqs, secretsmanager] = await Promise.all([
    startKinesis(template, shards), startDynamo(template, faults), startS3(template, directory),
    plain(queues), plain(secrets)])
  return { ports: { kinesis: kinesis.port, dynamodb: table.port, s3, sqs, secretsmanager },
    kinesis, dynamo: table.dynamo, queues, secrets }
}
