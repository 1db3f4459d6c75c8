// SPDX-License-Identifier: Apache-2.0
// What tests ask of the cloud, and tell it.
import { json } from './http.mjs'

function summary(cloud) {
  return { statuses: cloud.statuses, injected: cloud.faults.injected,
    firehose: { ...cloud.firehose.counts, streams: Object.fromEntries(
      [...cloud.firehose.streams].map(([name, one]) => [name, one.delivery.counts])) },
    queues: cloud.local.queues.messages, tokenRequests: cloud.tokens.requests,
    secretReads: cloud.local.secrets.reads, mapped: cloud.lastMapped, invalid: cloud.lastInvalid }
}

const ACTIONS = {
  '/summary': (_, cloud) => summary(cloud),
  '/faults': (plans, cloud) => cloud.faults.set(plans),
  '/flush': (_, cloud) => cloud.firehose.flush(),
  /** {access_key, secret_key, session_token, expired, role}: what ROLE, a logical id, may. */
  '/keys': (key, cloud) => {
    const arn = key.role && cloud.template.arn(key.role)
    cloud.keys[key.access_key] = { secret: key.secret_key, token: key.session_token,
      expired: key.expired, arn, policies: arn && cloud.template.policiesOf(arn) }
  },
  '/invoke': (told, cloud) => cloud.functions.invokeNamed(told.function, told.event),
  '/secret': ({ name, value }, cloud) => { cloud.local.secrets.values[name] = value },
  /** Tokens live for SECONDS from now on; those that were given are good no longer. */
  '/tokens': ({ seconds, revoke }, cloud) => {
    cloud.tokens.lifetimeS = seconds ?? cloud.tokens.lifetimeS
    if (revoke) cloud.tokens.revoke()
  },
  '/vpc-endpoint': ({ id }, cloud) => { cloud.vpcEndpoint = id },
  /** A delivery stream reads from its source: {name, records: [base64]}. */
  '/source': ({ name, records }, cloud) =>
    ({ ids: cloud.firehose.read(name, records.map((one) => Buffer.from(one, 'base64'))) }),
}

export async function admin(request, cloud) {
  const action = ACTIONS[request.path]
  if (action === undefined) return json(404, { error: request.path })
  try {
    const told = request.body.length > 0 ? JSON.parse(request.body) : undefined
    return json(200, await action(told, cloud) ?? {})
  } catch (error) {
    console.error(error)
    return json(400, { error: error.message })
  }
}
