// SPDX-License-Identifier: Apache-2.0
// A resolved template (tests/tools/cfn.py resolve), asked for its resources, and its REST API.
import { randomBytes } from 'node:crypto'
import { Ajv } from './modules.mjs'

const NAMES = { 'AWS::KinesisFirehose::DeliveryStream': 'DeliveryStreamName',
  'AWS::Lambda::Function': 'FunctionName', 'AWS::Kinesis::Stream': 'Name',
  'AWS::S3::Bucket': 'BucketName', 'AWS::DynamoDB::Table': 'TableName',
  'AWS::SQS::Queue': 'QueueName', 'AWS::IAM::Role': 'RoleName' }
const ARNS = { 'AWS::KinesisFirehose::DeliveryStream': 'firehose:{place}:deliverystream/',
  'AWS::Lambda::Function': 'lambda:{place}:function:', 'AWS::Kinesis::Stream':
  'kinesis:{place}:stream/', 'AWS::IAM::Role': 'iam::{account}:role/',
  'AWS::SQS::Queue': 'sqs:{place}:' }

export const ACCOUNT = '123456789012'
export const REGION = 'eu-west-1'

export class Template {
  constructor(resolved) {
    this.resources = resolved.Resources
  }

  /** [logical id, properties] of every resource of TYPE. */
  all(type) {
    return Object.entries(this.resources).filter(([, one]) => one.Type === type)
      .map(([id, one]) => [id, one.Properties ?? {}])
  }

  properties(id) {
    return this.resources[id]?.Properties
  }

  /** What Ref of ID is: its given name, else its logical id. */
  name(id) {
    return this.properties(id)?.[NAMES[this.resources[id].Type]] ?? id
  }

  arn(id) {
    const shape = ARNS[this.resources[id].Type].replace('{place}', `${REGION}:${ACCOUNT}`)
    return `arn:aws:${shape.replace('{account}', ACCOUNT)}${this.name(id)}`
  }

  /** The policy documents of the role with ARN; undefined where there is no such role. */
  policiesOf(arn) {
    const [, role] = this.all('AWS::IAM::Role').find(([id]) => this.arn(id) === arn) ?? []
    return role && (role.Policies ?? []).map((one) => one.PolicyDocument)
  }
}

/** The template's one REST API, on its stage. */
export class Api {
  constructor(template) {
    const [[id, api]] = template.all('AWS::ApiGateway::RestApi')
    const [[, stage]] = template.all('AWS::ApiGateway::Stage')
    Object.assign(this, { template, id, stage, policy: api.Policy })
    this.isPrivate = api.EndpointConfiguration?.Types?.includes('PRIVATE') ?? false
    this.binaryTypes = api.BinaryMediaTypes ?? []
    this.responses = Object.fromEntries(template.all('AWS::ApiGateway::GatewayResponse')
      .map(([, one]) => [one.ResponseType, one]))
    this.methods = new Map(template.all('AWS::ApiGateway::Method')
      .map(([, method]) => [`${method.HttpMethod} ${this.pathOf(method.ResourceId)}`, method]))
    this.keys = template.all('AWS::ApiGateway::ApiKey').map(([key, one]) => ({ id: key,
      value: one.Value ?? randomBytes(20).toString('hex'), enabled: String(one.Enabled) === 'true',
      plans: this.plansOf(key) }))
    this.validators = new Map()
  }

  pathOf(resource) {
    const one = this.template.properties(resource)
    if (one === undefined) return ''
    return `${this.pathOf(one.ParentId)}/${one.PathPart}`
  }

  plansOf(key) {
    return this.template.all('AWS::ApiGateway::UsagePlanKey').filter(([, one]) => one.KeyId === key)
      .map(([, one]) => this.template.properties(one.UsagePlanId))
      .filter((plan) => plan.ApiStages?.some((one) => one.ApiId === this.id))
  }

  authorizer(id) {
    return [id, this.template.properties(id)]
  }

  /** The method for VERB and PATH below the stage, or undefined. */
  method(verb, path) {
    return this.methods.get(`${verb} ${path}`) ?? this.methods.get(`ANY ${path}`)
  }

  /** What is wrong with the parsed body DOCUMENT of a request to METHOD, or undefined. */
  invalid(method, type, text) {
    const { ValidateRequestBody } = this.template.properties(method.RequestValidatorId) ?? {}
    const model = method.RequestModels?.[type] ?? method.RequestModels?.$default
    if (String(ValidateRequestBody) !== 'true' || model === undefined) return undefined
    if (!this.validators.has(model)) this.validators.set(model, this.compile(model))
    try {
      const check = this.validators.get(model)
      return check(JSON.parse(text)) ? undefined : JSON.stringify(check.errors)
    } catch {
      return 'not JSON'
    }
  }

  compile(model) {
    const { Schema } = this.template.properties(model)
    const ajv = new Ajv({ strict: false, logger: false })
    return ajv.compile(typeof Schema === 'string' ? JSON.parse(Schema) : Schema)
  }
}
