// SPDX-License-Identifier: Apache-2.0
// How much a stage, a method and a usage plan let through.

const ACCOUNT = { rate: 10000, burst: 5000 }

/** Tokens for BURST requests, filled up again at RATE a second. */
class Bucket {
  constructor({ rate, burst }) {
    Object.assign(this, { rate, burst, tokens: burst, filled: performance.now() })
  }

  take() {
    const now = performance.now()
    this.tokens = Math.min(this.burst, this.tokens + (now - this.filled) / 1000 * this.rate)
    this.filled = now
    if (this.tokens < 1) return false
    this.tokens -= 1
    return true
  }
}

function limitOf(settings) {
  const rate = settings?.ThrottlingRateLimit ?? settings?.RateLimit
  const burst = settings?.ThrottlingBurstLimit ?? settings?.BurstLimit
  if (rate === undefined && burst === undefined) return undefined
  return { rate: Number(rate ?? ACCOUNT.rate), burst: Number(burst ?? ACCOUNT.burst) }
}

// Stages name a method's path as ~1firehose~1records, or /* for all of them.
function settingFor(settings, path, method) {
  const matches = settings.filter((one) =>
    ['/*', path].includes(one.ResourcePath.replace(/^\/?~1/, '/').replace(/~1/g, '/')) &&
    ['*', method].includes(one.HttpMethod) && limitOf(one) !== undefined)
  return matches.sort((one, other) => rank(other) - rank(one))[0]
}

function rank(setting) {
  return (setting.ResourcePath === '/*' ? 0 : 2) + (setting.HttpMethod === '*' ? 0 : 1)
}

const PERIOD_MS = { DAY: 24 * 3600e3, WEEK: 7 * 24 * 3600e3, MONTH: 30 * 24 * 3600e3 }

/** One stage with its settings; a method without one of its own shares the account's. */
export class Throttle {
  constructor(methodSettings = []) {
    this.settings = methodSettings
    this.buckets = new Map()
    this.used = new Map()
  }

  bucket(key, limit) {
    if (!this.buckets.has(key)) this.buckets.set(key, new Bucket(limit))
    return this.buckets.get(key)
  }

  /** Has METHOD of PATH tokens left? Takes one. A /* setting counts for each method by itself. */
  method(path, method) {
    const limit = limitOf(settingFor(this.settings, path, method))
    return this.bucket('account', ACCOUNT).take() &&
      (limit === undefined || this.bucket(`${method} ${path}`, limit).take())
  }

  /** THROTTLED or QUOTA_EXCEEDED where PLAN lets KEY do no more, else undefined. */
  plan(plan, key) {
    const limit = limitOf(plan.Throttle)
    if (limit !== undefined && !this.bucket(`key ${key}`, limit).take()) return 'THROTTLED'
    if (plan.Quota?.Limit === undefined) return undefined
    const period = Math.floor(Date.now() / PERIOD_MS[plan.Quota.Period])
    const slot = `${key} ${period}`
    const used = (this.used.get(slot) ?? 0) + 1
    this.used.set(slot, used)
    return used > Number(plan.Quota.Limit) ? 'QUOTA_EXCEEDED' : undefined
  }
}
