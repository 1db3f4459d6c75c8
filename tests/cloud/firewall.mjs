// SPDX-License-Identifier: Apache-2.0
// The template's web ACL, as far as it looks at the size of a body.

const COMPARISONS = { GT: (size, limit) => size > limit, GE: (size, limit) => size >= limit }
const COMMON_BODY_BYTES = 8 << 10

function tooLarge(statement, bytes) {
  const size = statement?.SizeConstraintStatement
  return size?.FieldToMatch?.Body !== undefined &&
    COMPARISONS[size.ComparisonOperator](bytes, Number(size.Size))
}

// The common rule set blocks more than 8 KiB by a rule that can be overridden or excluded.
function commonRuleBlocks(group, bytes) {
  if (group?.Name !== 'AWSManagedRulesCommonRuleSet') return false
  const name = 'SizeRestrictions_BODY'
  const overridden = group.RuleActionOverrides?.some((one) =>
    one.Name === name && one.ActionToUse.Block === undefined)
  const excluded = group.ExcludedRules?.some((one) => one.Name === name)
  return bytes > COMMON_BODY_BYTES && !overridden && !excluded
}

/** The status with which a web ACL of TEMPLATE blocks REQUEST for its size, or undefined. */
export function blocked(template, request) {
  const bytes = request.body.length
  const rules = template.all('AWS::WAFv2::WebACL').flatMap(([, acl]) => acl.Rules)
  const rule = rules.find((one) =>
    (one.Action?.Block !== undefined && tooLarge(one.Statement, bytes)) ||
    (one.OverrideAction?.None !== undefined &&
      commonRuleBlocks(one.Statement.ManagedRuleGroupStatement, bytes)))
  return rule && Number(rule.Action?.Block.CustomResponse?.ResponseCode ?? 403)
}
