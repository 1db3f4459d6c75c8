// SPDX-License-Identifier: Apache-2.0
// The template's Lambda functions, each a process of its own that runs its own code.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const RUNTIME = fileURLToPath(new URL('lambda_runtime.py', import.meta.url))
const PYTHON = '/usr/bin/python3'
const KILLED = { errorType: 'Runtime.ExitError', errorMessage: 'RequestId: 0 Error: killed' }

/** A function's process; its invocations come one after the other. */
class Function {
  constructor(folder, handler, environment) {
    this.waiting = []
    this.process = spawn(PYTHON, ['-B', RUNTIME, folder, handler],
      { env: { PATH: process.env.PATH, ...environment }, stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.process.stdout }).on('line', (line) =>
      this.waiting.shift()(JSON.parse(line)))
    this.process.on('exit', () => this.waiting.forEach((resolve) => resolve(KILLED)))
  }

  invoke(event) {
    return new Promise((resolve) => {
      this.waiting.push(resolve)
      this.process.stdin.write(JSON.stringify(event) + '\n')
    })
  }
}

// A queue is named by its URL, which a deployment would know.
function local(variables = {}, template, endpoints) {
  const urls = Object.fromEntries(template.all('AWS::SQS::Queue').map(([id]) =>
    [template.name(id), `${endpoints.AWS_ENDPOINT_URL_SQS}/queue/${template.name(id)}`]))
  return Object.fromEntries(Object.entries(variables)
    .map(([name, value]) => [name, urls[value] ?? String(value)]))
}

/** All functions of a template; CODE is the folder that the template's Code stands for. */
export class Functions {
  constructor(template, code, endpoints, faults) {
    Object.assign(this, { template, code, endpoints, faults, running: new Map() })
  }

  start(id) {
    if (!this.running.has(id)) {
      const { Handler, Environment } = this.template.properties(id)
      this.running.set(id, new Function(this.code, Handler, { ...this.endpoints,
        ...local(Environment?.Variables, this.template, this.endpoints) }))
    }
    return this.running.get(id)
  }

  /** As invokeNamed, of the function whose ARN stands somewhere in TEXT. */
  invoke(text, event) {
    const names = ([id]) => new RegExp(`${this.template.arn(id)}(?=[:/]|$)`).test(text)
    const [id] = this.template.all('AWS::Lambda::Function').find(names) ?? []
    return this.call(id ?? text, event)
  }

  /** { value } or { errorType, errorMessage } of the function with NAME, which may be its ARN. */
  invokeNamed(name, event) {
    const [id] = this.template.all('AWS::Lambda::Function').find(([id]) =>
      [this.template.name(id), this.template.arn(id)].includes(name)) ?? []
    return this.call(id ?? name, event)
  }

  /** Ends all processes at once, whatever they are at; the next event finds a new one. */
  kill() {
    for (const one of this.running.values()) one.process.kill('SIGKILL')
    this.running.clear()
  }

  async call(id, event) {
    if (this.template.properties(id) === undefined) throw new Error(`there is no function ${id}`)
    if (this.faults.strikes('lambda')) return KILLED
    const answer = await this.start(id).invoke(event)
    return this.faults.strikes('lambda_after') ? KILLED : answer
  }
}
