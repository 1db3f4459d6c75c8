// SPDX-License-Identifier: Apache-2.0
// What goes wrong on command: the next N times, the Nth time, or at a rate, drawn from a seed.

/**
 * throttle     429 of the gateway                    unavailable  503 of the gateway
 * html         200 with a page, nothing stored       portal       302 of a captive portal, ditto
 * reset        the connection ends, nothing stored   empty        stored, and answered 202 empty
 * lost         stored, and the connection ends       cut          stored, and half the reply
 * silent       stored, and no reply as long as the client waits
 * error        500 of the service behind             slow_down    the service behind throttles
 * records      single records of the service behind fail
 * away         the service behind takes no connections
 * lambda       an invocation fails before the code   lambda_after it fails when the code has run
 * denied       the functions' table refuses a transaction, as for want of a permission
 * killed       the functions are killed where one of them begins a transaction
 */
export const KINDS = ['throttle', 'unavailable', 'html', 'portal', 'reset', 'empty', 'lost', 'cut',
  'silent', 'error', 'slow_down', 'records', 'away', 'lambda', 'lambda_after', 'denied', 'killed']

// mulberry32: 32 bits of state are enough to choose victims.
function generator(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export class Faults {
  constructor(seed = 1) {
    this.draw = generator(seed)
    this.plans = {}
    this.injected = {}
  }

  /**
   * Replaces all plans: {kind: N}, the next N times, {kind: {rate: R}}, or {kind: {at, times}}: from
   * the time AT on, or from each time in the array AT, TIMES (1) of them.
   */
  set(plans) {
    for (const kind of Object.keys(plans)) {
      if (!KINDS.includes(kind)) throw new Error(`there is no fault ${kind}`)
    }
    this.plans = { ...plans }
  }

  decide(kind, plan) {
    if (typeof plan === 'number') return plan > 0
    if (plan.rate !== undefined) return this.draw() < plan.rate
    plan.seen = (plan.seen ?? 0) + 1
    const within = (at) => plan.seen >= at && plan.seen < at + (plan.times ?? 1)
    return [plan.at].flat().some(within)
  }

  /** Does KIND strike now? Counts it where it does. */
  strikes(kind) {
    const plan = this.plans[kind]
    if (plan === undefined) return false
    const struck = this.decide(kind, plan)
    if (struck) {
      if (typeof plan === 'number') this.plans[kind] -= 1
      this.injected[kind] = (this.injected[kind] ?? 0) + 1
    }
    return struck
  }

  /** The first of KINDS that strikes now, or undefined. */
  first(...kinds) {
    return kinds.find((kind) => this.strikes(kind))
  }
}
