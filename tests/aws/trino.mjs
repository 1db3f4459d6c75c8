// SPDX-License-Identifier: Apache-2.0
// Athena's SQL, as far as it can be had here: the grammar is Trino's own, what runs it is DuckDB.
//
// usage: node trino.mjs DUCKDB PARSER     (their folders node_modules)
//
// Reads lines of JSON: { sql } in DuckDB's own SQL, or { trino, sql }, the text that Athena gets and
// the same with a fixed time in it. Answers each with { names, rows } or { fault }.
import { createRequire, register } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [duckdb, parser] = process.argv.slice(2)
// The parser's modules import each other by folders, which only bundlers understand.
register('data:text/javascript,' + encodeURIComponent(`
  export async function resolve(name, context, next) {
    for (const end of ['', '.js', '/index.js'])
      try { return await next(name + end, context) } catch (error) { if (end[0] === '/') throw error }
  }`))
const { TrinoSQL } = await import(pathToFileURL(`${parser}/dt-sql-parser/dist/parser/trino/index.js`))
const { DuckDBInstance } = createRequire(`${duckdb}/`)('@duckdb/node-api')

const grammar = new TrinoSQL()
const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
const connection = await instance.connect()

// What Trino calls otherwise. Both end an hour with its last second, not with the clock's stroke.
for (const macro of [
  'from_iso8601_timestamp(text) AS CAST(text AS TIMESTAMP)',
  'json_extract_scalar(text, path) AS try(json_extract_string(text, path))',
  'date_diff(part, since, until) AS date_sub(part, since, until)'
]) await connection.run(`CREATE MACRO ${macro}`)

async function answer({ trino, sql }) {
  const faults = trino === undefined ? [] : grammar.validate(trino)
  if (faults.length) return { fault: `Trino: ${faults[0].message}` }
  try {
    const result = await connection.runAndReadAll(sql)
    return { names: result.columnNames(), types: result.columnTypes().map(String),
      rows: result.getRowsJson() }
  } catch (error) {
    return { fault: error.message }
  }
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n')
