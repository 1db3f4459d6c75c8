// SPDX-License-Identifier: Apache-2.0
// TransactWriteItems for dynalite, which lacks it: one request at a time comes past here, so that
// writes made one by one, and taken back where one is refused, are one to whoever looks.
import { ask } from './http.mjs'
import { failure } from './services.mjs'

const WRITES_MAX = 100
const ACTIONS = { Put: 'PutItem', Update: 'UpdateItem', Delete: 'DeleteItem' }
const TARGET = 'DynamoDB_20120810.'
const TYPE = 'application/x-amz-json-1.0'

const typed = (reply) => ({ ...reply, headers: { 'content-type': TYPE } })

export class Dynamo {
  /** PORT: dynalite's; KEYS: {table: [names of its key]}; SIGNED: headers that it wants to see. */
  constructor(port, keys, signed, faults) {
    Object.assign(this, { port, keys, signed, faults, last: Promise.resolve(), done: new Map() })
  }

  answer(request) {
    this.last = this.last.then(() => this.one(request))
    return this.last
  }

  async one(request) {
    const target = request.headers['x-amz-target'] ?? ''
    if (target !== TARGET + 'TransactWriteItems') return this.forward(target, request.body)
    if (this.faults.strikes('killed')) {
      this.kill()
      return { status: 503, headers: {}, spoil: 'lost' }
    }
    if (this.faults.strikes('denied')) {
      return typed(failure(400, 'AccessDeniedException', 'not authorized to perform: PutItem'))
    }
    const { TransactItems: writes, ClientRequestToken: token } = JSON.parse(request.body)
    if (writes.length > WRITES_MAX) {
      return typed(failure(400, 'ValidationException', 'more than 100 actions'))
    }
    const before = token && this.done.get(token)
    if (before !== undefined) {
      return before === String(request.body) ? this.success() :
        typed(failure(400, 'IdempotentParameterMismatchException', 'another request'))
    }
    return this.transact(writes, () => token && this.done.set(token, String(request.body)))
  }

  success() {
    return { status: 200, headers: { 'content-type': TYPE }, body: Buffer.from('{}') }
  }

  forward(target, body) {
    return ask(this.port, 'POST', '/', { ...this.signed, 'content-type': TYPE,
      'x-amz-target': target }, body)
  }

  async call(action, parameters) {
    const reply = await this.forward(TARGET + action, JSON.stringify(parameters))
    return { status: reply.status, value: JSON.parse(reply.body) }
  }

  keyOf(table, item) {
    return Object.fromEntries(this.keys[table].map((name) => [name, item[name]]))
  }

  /** A check alone: what is there is put again, what is not is deleted. */
  async look(write) {
    const { TableName, Key, ...condition } = write
    const { value } = await this.call('GetItem', { TableName, Key, ConsistentRead: true })
    return value.Item ? { kind: 'Put', write: { ...condition, TableName, Item: value.Item } } :
      { kind: 'Delete', write }
  }

  async write(kind, write) {
    const one = kind === 'ConditionCheck' ? await this.look(write) : { kind, write }
    const parameters = { ...one.write, ReturnValues: 'ALL_OLD' }
    delete parameters.ReturnValuesOnConditionCheckFailure
    const { status, value } = await this.call(ACTIONS[one.kind], parameters)
    const { TableName } = one.write
    const key = one.write.Key ?? this.keyOf(TableName, one.write.Item)
    return { status, value, undo: () => value.Attributes ?
      this.call('PutItem', { TableName, Item: value.Attributes }) :
      this.call('DeleteItem', { TableName, Key: key }) }
  }

  async transact(writes, remember) {
    const made = []
    for (const [index, one] of writes.entries()) {
      const [[kind, write]] = Object.entries(one)
      const result = await this.write(kind, write)
      if (result.status !== 200) {
        for (const { undo } of made.reverse()) await undo()
        return this.cancelled(writes.length, index, result.value)
      }
      made.push(result)
    }
    remember()
    return this.success()
  }

  cancelled(count, index, error) {
    const code = error.__type.split('#').at(-1)
    if (code !== 'ConditionalCheckFailedException') return typed(failure(400, code, error.message))
    const reasons = Array.from({ length: count }, (_, at) => at === index ?
      { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed' } :
      { Code: 'None' })
    const body = JSON.stringify({ __type: 'TransactionCanceledException',
      Message: `Transaction cancelled, please refer cancellation reasons for specific reasons [${
        reasons.map((one) => one.Code).join(', ')}]`, CancellationReasons: reasons })
    return { status: 400, headers: { 'content-type': TYPE }, body: Buffer.from(body) }
  }
}
