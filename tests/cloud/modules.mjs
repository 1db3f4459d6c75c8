// SPDX-License-Identifier: Apache-2.0
// What others wrote, from the folder that RUNNEL_CLOUD_MODULES names (cloud.py installs it).
import { createRequire } from 'node:module'

const load = createRequire(process.env.RUNNEL_CLOUD_MODULES + '/.')

export const velocity = load('velocityjs')
export const Ajv = load('ajv-draft-04').default
export const aggregation = load('aws-kinesis-agg')
export const kinesalite = load('kinesalite')
export const dynalite = load('dynalite')
export const S3rver = load('s3rver')
