// SPDX-License-Identifier: Apache-2.0
// kinesalite on loopback behind TLS: node kinesalite.js MODULES CERTIFICATE KEY
// Prints the port of the TLS side when both listen.
//
// TLS is taken off in front of kinesalite, not in it: node's HTTP server pauses its parser while a
// long reply drains, and over TLS then answers the next request on that connection with HPE_PAUSED.
'use strict'
const fs = require('fs')
const net = require('net')
const tls = require('tls')

const [modules, certificate, key] = process.argv.slice(2)
const kinesalite = require(modules + '/kinesalite')
const server = kinesalite({ createStreamMs: 20, deleteStreamMs: 20, shardLimit: 1000 })

function join(secure) {
  const plain = net.connect(server.address().port, '127.0.0.1')
  secure.pipe(plain).pipe(secure)
  for (const [one, other] of [[secure, plain], [plain, secure]]) {
    one.on('error', () => other.destroy())
  }
}

server.listen(0, '127.0.0.1', () => {
  const files = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }
  const front = tls.createServer(files, join)
  front.listen(0, '127.0.0.1', () => console.log(front.address().port))
})
