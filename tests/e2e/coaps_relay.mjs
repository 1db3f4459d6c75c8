// SPDX-License-Identifier: Apache-2.0
// A DTLS-PSK that others wrote, for clients that have none: plain datagrams on loopback in front,
// coaps behind: node coaps_relay.mjs MODULES PORT IDENTITY KEY
// Prints the port in front once the handshake is through, for one client at a time; ends with 1 and
// a line where it is not.
import dgram from 'node:dgram'
import { pathToFileURL } from 'node:url'

const [modules, port, identity, key] = process.argv.slice(2)
const { dtls } = await import(pathToFileURL(modules + '/node-dtls-client/build/dtls.js'))
const front = dgram.createSocket('udp4')
let client
const secure = dtls.createSocket({
  type: 'udp4', address: '127.0.0.1', port: Number(port), psk: { [identity]: key }, timeout: 3000
})

function fail(error) {
  console.log(`no: ${error}`)
  process.exit(1)
}

front.on('message', (data, from) => {
  client = from
  secure.send(data)
})
secure.on('message', (data) => client && front.send(data, client.port, client.address))
secure.on('connected', () => front.bind(0, '127.0.0.1', () => console.log(front.address().port)))
secure.on('error', fail)
secure.on('close', () => fail('closed'))
