// SPDX-License-Identifier: Apache-2.0
// The far side on loopback: what the resolved template describes, running.
//
// usage: node cloud.mjs --template FILE --code FOLDER --certificates FOLDER --folder FOLDER
//                       [--shards N] [--seed N] [--client-ca FILE] [--key NAME:SECRET]
//
// Prints one line of JSON when all listens: ports, what a user would look up on AWS's console
// (API keys, client secrets). Ends with its standard input.
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { parseArgs } from 'node:util'
import { admin } from './admin.mjs'
import { Faults } from './faults.mjs'
import { Firehose } from './firehose.mjs'
import { Functions } from './functions.mjs'
import { BODY_BYTES_MAX, answer } from './gateway.mjs'
import { answering, listen } from './http.mjs'
import { startServices, Store } from './local.mjs'
import { Services, denied, failure, serviceOf } from './services.mjs'
import { SignatureError, verify } from './signature.mjs'
import { Api, REGION, Template } from './template.mjs'
import { Throttle } from './throttle.mjs'
import { Tokens } from './tokens.mjs'

const { values: options } = parseArgs({ options: Object.fromEntries(
  ['template', 'code', 'certificates', 'folder', 'shards', 'seed', 'client-ca', 'key']
    .map((name) => [name, { type: 'string' }])) })

// A client's certificate is asked for where an AUTHORITY is given, as a custom domain does.
function tls(authority) {
  const file = (name) => fs.readFileSync(`${options.certificates}/${name}`)
  return { cert: file('server.pem'), key: file('server.key'), keepAliveTimeout: 60000,
    ...(authority && { requestCert: true, rejectUnauthorized: true,
      ca: fs.readFileSync(authority) }) }
}

const secure = (handle, authority) => listen(https.createServer(tls(authority),
  answering(handle, BODY_BYTES_MAX + 1)))

/** Kinesis and Firehose under their own names. */
async function direct(request, cloud) {
  const service = serviceOf(request)
  if (service === undefined) return failure(400, 'UnknownOperationException', null)
  let refused
  try {
    const access = verify(request, cloud.keys, service, cloud.region)
    refused = denied(service, request, cloud.keys[access])
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error
    refused = failure(400, error.code, error.message)
  }
  if (refused !== undefined) {
    cloud.count(refused.status)
    return refused
  }
  const before = cloud.faults.first('reset')
  if (before) return { ...failure(500, 'InternalFailure', ''), spoil: 'lost' }
  const reply = await cloud.services.serve(service, request)
  cloud.count(reply.status)
  const spoil = cloud.faults.first('lost', 'cut', 'silent')
  return spoil === undefined ? reply : { ...reply, spoil }
}

function endpointsOf(ports) {
  return { AWS_REGION: REGION, ...Object.fromEntries(Object.entries(ports).map(([name, port]) =>
    [`AWS_ENDPOINT_URL_${name.toUpperCase()}`, `http://127.0.0.1:${port}`])) }
}

class Cloud {
  constructor(template, local, faults) {
    const [access, secret] = options.key.split(':')
    const endpoints = endpointsOf(local.ports)
    Object.assign(this, { template, region: REGION, local, endpoints, authorized: new Map(),
      statuses: {}, keys: { [access]: { secret } }, vpcEndpoint: undefined,
      faults })
    this.functions = new Functions(template, options.code, endpoints, faults)
    local.dynamo.kill = () => this.functions.kill()
    this.firehose = new Firehose(template, this.functions, new Store(local.ports.s3))
    this.services = new Services(local.kinesis, this.firehose, faults)
    this.tokens = new Tokens(template)
    this.setApi()
  }

  setApi() {
    this.api = this.template.all('AWS::ApiGateway::RestApi').length ? new Api(this.template) :
      undefined
    this.throttle = new Throttle(this.api?.stage.MethodSettings)
  }

  count(status) {
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
  }
}

/** Functions reach Firehose as they reach the rest: without TLS, and signed by whom they like. */
function inner(cloud) {
  return listen(http.createServer(answering((request) =>
    cloud.services.serve(serviceOf(request), request))))
}

async function main() {
  const template = new Template(JSON.parse(fs.readFileSync(options.template, 'utf8')))
  const faults = new Faults(Number(options.seed ?? 1))
  const local = await startServices(template, `${options.folder}/s3`,
    options.shards && Number(options.shards), faults)
  const cloud = new Cloud(template, local, faults)
  const [innerPort, aws, tokens, adminPort] = await Promise.all([inner(cloud),
    secure((request) => direct(request, cloud)), secure((request) => cloud.tokens.answer(request)),
    listen(http.createServer(answering((request) => admin(request, cloud))))])
  Object.assign(cloud.endpoints, endpointsOf({ firehose: innerPort, kinesis: innerPort }))
  const gateway = cloud.api && await secure((request) => answer(request, cloud),
    options['client-ca'])
  console.log(JSON.stringify({ gateway, aws, tokens, admin: adminPort, local: local.ports,
    endpoints: cloud.endpoints, region: REGION, stage: cloud.api?.stage.StageName,
    apiId: cloud.api?.id, apiKeys: cloud.api?.keys.map((key) => key.value),
    clients: cloud.tokens.secrets() }))
  process.stdin.on('end', () => process.exit(0)).resume()
}

await main()
