// SPDX-License-Identifier: Apache-2.0
// Takes aggregated records apart with AWS's own module: node deaggregate.js MODULES
// Reads {"partitionKey", "sequenceNumber", "data"} a line, data in base64, as Lambda is given them;
// prints [{"partitionKey", "explicitPartitionKey", "data"}, ...] for each. A wrong checksum, or
// anything else that the module does not like, ends it.
'use strict'
const readline = require('readline')
const { deaggregateSync } = require(process.argv[2] + '/aws-kinesis-agg')

readline.createInterface({ input: process.stdin }).on('line', line => {
  deaggregateSync(JSON.parse(line), true, (error, records) => {
    if (error) throw error
    console.log(JSON.stringify(records))
  })
})
