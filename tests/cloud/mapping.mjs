// SPDX-License-Identifier: Apache-2.0
// A mapping template with $input, $util, $context and $stageVariables as API Gateway gives them.
import { velocity } from './modules.mjs'

const ITERATIONS_MAX = 1000
const TEMPLATE_BYTES_MAX = 300 * 1024
const STEP = /\.([\w-]+)|\['([^']+)'\]|\["([^"]+)"\]|\[(\d+)\]/gy
const ESCAPES = { '"': '\\"', "'": "\\'", '\\': '\\\\', '/': '\\/', '\b': '\\b', '\f': '\\f',
  '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** What a template did that API Gateway answers with 500. */
export class MappingError extends Error {}

/** The value at the JSONPath PATH ($, .name, ['name'], [n]) of VALUE, or undefined. */
export function select(value, path) {
  let length = 1
  for (const [text, ...names] of path.slice(1).matchAll(STEP)) {
    length += text.length
    value = value?.[names.find((name) => name !== undefined)]
  }
  if (!path.startsWith('$') || length !== path.length) {
    throw new MappingError(`this JSONPath is not known here: ${path}`)
  }
  return value
}

// Java's StringEscapeUtils.escapeJavaScript, whose \' is not JSON.
function escapeJavaScript(text) {
  return String(text).replace(/["'\\/\x00-\x1f\x7f-\uffff]/g, (one) => ESCAPES[one] ??
    '\\u' + one.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0'))
}

// Of an object, Java's toString comes out, which is never what was meant.
function textOnly(name, use) {
  return (value) => {
    if (typeof value === 'object') throw new MappingError(`$util.${name} of an object`)
    return use(String(value))
  }
}

const util = {
  escapeJavaScript: textOnly('escapeJavaScript', escapeJavaScript),
  base64Encode: textOnly('base64Encode', (text) => Buffer.from(text, 'utf8').toString('base64')),
  base64Decode: textOnly('base64Decode', (text) => Buffer.from(text, 'base64').toString('utf8')),
  urlEncode: textOnly('urlEncode', (text) => encodeURIComponent(text).replace(/%20/g, '+')),
  urlDecode: textOnly('urlDecode', (text) => decodeURIComponent(text.replace(/\+/g, ' '))),
  parseJson: textOnly('parseJson', JSON.parse),
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    throw new MappingError('$input.json or $input.path of a body that is not JSON')
  }
}

/**
 * $input of a body TEXT; PARAMS: {header, querystring, path}, of which the headers bear lower-case
 * names.
 */
function inputOf(text, params) {
  let document
  const find = (path) => {
    document ??= { root: text === '' ? {} : parsed(text) }
    return select(document.root, path)
  }
  const named = (name) => params.path?.[name] ?? params.querystring?.[name] ??
    params.header?.[name.toLowerCase()] ?? ''
  return {
    body: text,
    json: (path) => JSON.stringify(find(path) ?? ''),
    path: (path) => find(path) ?? '',
    params: (name) => name === undefined ? params : named(name),
  }
}

// API Gateway ends a #foreach at its thousandth turn; nothing useful comes of the rest.
class Template extends velocity.Compile {
  getBlockEach(block) {
    const list = this.getLiteral({ ...block[0].from, pos: block[0].pos })
    if (list?.length > ITERATIONS_MAX) {
      throw new MappingError(`#foreach over ${list.length}, more than ${ITERATIONS_MAX}`)
    }
    return super.getBlockEach(block)
  }
}

/**
 * TEMPLATE rendered over the body TEXT. CONTEXT is $context, of which a template may set
 * responseOverride.status. Throws MappingError.
 */
export function render(template, text, { params = {}, context = {}, stageVariables = {} }) {
  if (Buffer.byteLength(template) > TEMPLATE_BYTES_MAX) {
    throw new MappingError('the template is longer than 300 KiB')
  }
  context.responseOverride ??= {}
  return new Template(velocity.parse(template)).render(
    { input: inputOf(text, params), util, context, stageVariables })
}
