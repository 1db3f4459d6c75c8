// SPDX-License-Identifier: Apache-2.0
// s3rver on loopback: node s3rver.js MODULES DIRECTORY BUCKET
// Prints its port when it listens.
'use strict'
const [modules, directory, bucket] = process.argv.slice(2)
const S3rver = require(modules + '/s3rver')

new S3rver({
  address: '127.0.0.1',
  port: 0,
  silent: true,
  directory,
  configureBuckets: [{ name: bucket }],
}).run().then(({ port }) => console.log(port))
