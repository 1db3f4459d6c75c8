// SPDX-License-Identifier: Apache-2.0
// Requests that are whole, and replies, for every server of the cloud.
import http from 'node:http'
import net from 'node:net'

/** A reply that ends the handling of a request early. */
export class Refusal extends Error {
  constructor(reply) {
    super(`refused with ${reply.status}`)
    this.reply = reply
  }
}

/** A reply with VALUE as JSON. */
export function json(status, value, headers = {}) {
  const body = Buffer.from(JSON.stringify(value))
  return { status, headers: { 'content-type': 'application/json', ...headers }, body }
}

/** The body of STREAM; `tooLong` once it exceeds LIMIT_BYTES, and what follows is thrown away. */
async function readAll(stream, limitBytes) {
  const parts = []
  let bytes = 0
  for await (const part of stream) {
    bytes += part.length
    if (bytes <= limitBytes) parts.push(part)
  }
  return { body: Buffer.concat(parts), tooLong: bytes > limitBytes }
}

async function wholeRequest(incoming, limitBytes) {
  const [path, query = ''] = incoming.url.split(/\?(.*)/s)
  const { body, tooLong } = await readAll(incoming, limitBytes)
  return { method: incoming.method, path, query, headers: incoming.headers, body, tooLong,
    sourceIp: incoming.socket.remoteAddress }
}

/**
 * Writes REPLY { status, headers, body } as its `spoil` says: `lost` ends the connection without a
 * word, `cut` in the middle of the body, which its length announces whole, `silent` does nothing.
 */
function send(outgoing, reply) {
  if (reply.spoil === 'silent') return
  if (reply.spoil === 'lost') {
    outgoing.socket.destroy()
    return
  }
  const body = reply.body ?? Buffer.alloc(0)
  outgoing.writeHead(reply.status, { ...reply.headers, 'content-length': body.length })
  if (reply.spoil === 'cut') {
    outgoing.write(body.subarray(0, Math.floor(body.length / 2)),
      () => outgoing.socket.destroySoon())
  } else {
    outgoing.end(body)
  }
}

/** A listener for node's servers that answers with what HANDLE(request) returns or refuses. */
export function answering(handle, limitBytes = 16 << 20) {
  return async (incoming, outgoing) => {
    let reply
    try {
      reply = await handle(await wholeRequest(incoming, limitBytes))
    } catch (error) {
      if (!(error instanceof Refusal)) console.error(error)
      reply = error.reply ?? json(500, { message: 'Internal server error' })
    }
    if (!outgoing.destroyed) send(outgoing, reply)
  }
}

/** Sends a request over plain HTTP on loopback; resolves to { status, headers, body }. */
export function ask(port, method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, agent: false,
      headers: { ...headers, 'content-length': Buffer.byteLength(body ?? '') } }
    const request = http.request(options, async (incoming) => {
      try {
        const { body } = await readAll(incoming, Infinity)
        resolve({ status: incoming.statusCode, headers: incoming.headers, body })
      } catch (error) {
        reject(error)
      }
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Listens on a free port of loopback, or on PORT; resolves to the port. */
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    // Not what a server may have put in its place, which begins with an empty store.
    net.Server.prototype.listen.call(server, port, '127.0.0.1',
      () => resolve(server.address().port))
  })
}

/** A server that can go away and come back on its port, with all that it holds. */
export class Absence {
  constructor(server, port) {
    Object.assign(this, { server, port })
  }

  /** Resolves when connections are refused (AWAY), or taken again. */
  async set(away) {
    if (away !== this.server.listening) return
    if (!away) return listen(this.server, this.port)
    await new Promise((resolve) => http.Server.prototype.close.call(this.server, resolve))
  }
}
