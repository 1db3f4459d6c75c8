// SPDX-License-Identifier: Apache-2.0
//
// Resolved templates against the specification that AWS's CDK is made of (types, names of
// properties, required ones, allowed values and ranges; attributes that are asked for).
//
// usage: spec.mjs MODULES < LINES
//
// Each line of the input is {"resources":{ID:{Type,Properties}},"references":[[ID,ATTRIBUTE]]}; a
// Ref has null for its attribute.
// Each line of the output is the list of the faults of one line of the input.
import {createRequire} from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import {pathToFileURL} from 'node:url';

const require = createRequire(path.join(path.resolve(process.argv[2]), 'x.js'));
const {loadAwsServiceSpecSync} =
    await import(pathToFileURL(require.resolve('@aws-cdk/aws-service-spec')));
const spec = loadAwsServiceSpecSync();

const STRING_KINDS = new Set(['string', 'date-time']);
const show = (value) => JSON.stringify(value).slice(0, 60);

function resourceOf(type) {
  return spec.lookup('resource', 'cloudFormationType', 'equals', type)[0];
}

function within(value, type, min, max) {
  return (type[min] ?? value) <= value && value <= (type[max] ?? value);
}

function checkString(value, type, where) {
  if (typeof value === 'object') return [`${where}: ${show(value)} is no string`];
  const text = String(value);
  if (type.allowedValues && !type.allowedValues.includes(text))
    return [`${where}: ${show(text)} is none of ${type.allowedValues.join(', ')}`];
  if (!within(text.length, type, 'minLength', 'maxLength'))
    return [`${where}: ${show(text)} has ${text.length} characters`];
  return [];
}

// CloudFormation takes "5" for 5 and "true" for true.
function checkNumber(value, type, where) {
  const number = Number(value);
  const isNumber = (typeof value === 'number' || typeof value === 'string') && value !== '' &&
      Number.isFinite(number) && (type.type === 'number' || Number.isInteger(number));
  if (!isNumber) return [`${where}: ${show(value)} is no ${type.type}`];
  if (!within(number, type, 'minimum', 'maximum')) return [`${where}: ${number} is out of range`];
  return [];
}

function checkBoolean(value, where) {
  const isBoolean = ['true', 'false'].includes(String(value));
  return isBoolean ? [] : [`${where}: ${show(value)} is no boolean`];
}

function checkJson(value, where) {
  const isJson = value !== null && ['object', 'string'].includes(typeof value);
  return isJson ? [] : [`${where}: ${show(value)} is no JSON`];
}

function checkArray(value, type, where) {
  if (!Array.isArray(value)) return [`${where}: ${show(value)} is no list`];
  return value.flatMap((one, i) => check(one, type.element, `${where}[${i}]`));
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkMap(value, type, where) {
  if (!isObject(value)) return [`${where}: ${show(value)} is no map`];
  return Object.entries(value).flatMap(([key, one]) => check(one, type.element, `${where}.${key}`));
}

function checkTag(value, where) {
  const isTag = isObject(value) && Object.keys(value).sort().join() === 'Key,Value';
  return isTag ? [] : [`${where}: ${show(value)} is no tag`];
}

// Whichever of the types fits best.
function checkUnion(value, type, where) {
  const tries = type.types.map((one) => check(value, one, where));
  return tries.sort((a, b) => a.length - b.length)[0];
}

function check(value, type, where) {
  if (STRING_KINDS.has(type.type)) return checkString(value, type, where);
  switch (type.type) {
    case 'integer': case 'number': return checkNumber(value, type, where);
    case 'boolean': return checkBoolean(value, where);
    case 'array': return checkArray(value, type, where);
    case 'map': return checkMap(value, type, where);
    case 'tag': return checkTag(value, where);
    case 'union': return checkUnion(value, type, where);
    case 'ref': return checkObject(value, spec.get('typeDefinition', type.reference), where);
    case 'json': return checkJson(value, where);
    default: return [`${where}: the specification has an unknown kind ${type.type}`];
  }
}

function checkObject(value, definition, where) {
  if (!isObject(value)) return [`${where}: ${show(value)} is no ${definition.name}`];
  const faults = [];
  for (const [name, property] of Object.entries(definition.properties)) {
    if (name in value) faults.push(...check(value[name], property.type, `${where}.${name}`));
    else if (property.required) faults.push(`${where}: ${name} is required`);
  }
  for (const name of Object.keys(value))
    if (!(name in definition.properties)) faults.push(`${where}: there is no property ${name}`);
  return faults;
}

function checkResource(id, one) {
  const known = resourceOf(one.Type);
  if (!known) return [`${id}: there is no type ${one.Type}`];
  return checkObject(one.Properties ?? {}, known, id);
}

function checkReference(resources, [id, attribute]) {
  const type = resources[id].Type;
  if (attribute === null || attribute in (resourceOf(type)?.attributes ?? {})) return [];
  return [`${id}.${attribute}: ${type} has no such attribute`];
}

for await (const line of readline.createInterface({input: process.stdin})) {
  const {resources, references} = JSON.parse(line);
  const faults = Object.entries(resources).flatMap(([id, one]) => checkResource(id, one));
  faults.push(...references.flatMap((one) => checkReference(resources, one)));
  console.log(JSON.stringify([...new Set(faults)]));
}
