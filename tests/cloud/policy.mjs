// SPDX-License-Identifier: Apache-2.0
// What a policy's statements say of one action on one resource.

const listOf = (value) => value === undefined ? [] : [value].flat()

/** Does TEXT match PATTERN, in which * and ? stand for any? */
export function matches(pattern, text) {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${source}$`, 's').test(text)
}

const OPERATORS = {
  StringEquals: (wanted, value) => wanted.includes(value),
  StringNotEquals: (wanted, value) => !wanted.includes(value),
  StringLike: (wanted, value) => wanted.some((one) => matches(one, value)),
  Bool: (wanted, value) => wanted.map(String).includes(String(value)),
}

// A key that there is not meets only what is negated, as in IAM.
function holds(operator, pairs, context) {
  const test = OPERATORS[operator]
  if (test === undefined) throw new Error(`policy condition ${operator} is not known here`)
  return Object.entries(pairs).every(([key, wanted]) => context[key] === undefined ?
    operator.includes('Not') : test(listOf(wanted), context[key]))
}

function concerns(statement, action, resource, context) {
  return listOf(statement.Action).some((one) => matches(one.toLowerCase(), action.toLowerCase())) &&
    listOf(statement.Resource).some((one) => matches(one, resource)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, pairs]) =>
      holds(operator, pairs, context))
}

/** 'Deny', 'Allow', or undefined where no statement of DOCUMENTS speaks of it. */
export function verdict(documents, action, resource, context = {}) {
  const effects = documents.flatMap((one) => listOf(one.Statement))
    .filter((one) => concerns(one, action, resource, context)).map((one) => one.Effect)
  return effects.includes('Deny') ? 'Deny' : effects.find((one) => one === 'Allow')
}
