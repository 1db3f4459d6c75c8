// SPDX-License-Identifier: Apache-2.0
// kinesalite on loopback with TLS: node kinesalite.js MODULES CERTIFICATE KEY
// Prints its port when it listens.
'use strict'
const fs = require('fs')
const [modules, certificate, key] = process.argv.slice(2)
const kinesalite = require(modules + '/kinesalite')
const server = kinesalite({
  ssl: true,
  cert: fs.readFileSync(certificate),
  key: fs.readFileSync(key),
  createStreamMs: 20,
  shardLimit: 1000,
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
