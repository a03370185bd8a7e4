// Canonical JSON (RFC 8785) and the schema that a manifest must satisfy.
"use strict";

/** Canonical form of a value; ECMAScript's own number and string forms are those of RFC 8785. */
function canonical(value) {
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  if (value !== null && typeof value === "object") {
    const keys = Object.keys(value).sort();
    return "{" + keys.map((key) => JSON.stringify(key) + ":" + canonical(value[key])).join(",") + "}";
  }
  if (typeof value === "string" && !value.isWellFormed()) throw new Error("holds half a character");
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new Error("number too large");
  return JSON.stringify(value);
}

/** A value parsed from its canonical bytes; throws for any other bytes. */
function parseCanonical(bytes) {
  const value = JSON.parse(textOf(bytes));
  if (!sameBytes(utf8.encode(canonical(value)), bytes)) {
    throw new Error("is not in canonical form (RFC 8785)");
  }
  return value;
}

/** Where and why a value does not satisfy a schema; null when it does. */
function violation(schema, value, root = schema, place = "") {
  const rule = schema.$ref ? root.$defs[schema.$ref.split("/").pop()] : schema;
  const wrong = (what) => `${place || "the whole"}: ${what}`;
  const options = rule.anyOf ?? rule.oneOf;
  if (options) {
    return options.some((option) => violation(option, value, root, place) === null)
      ? null
      : wrong("is none of what it may be");
  }
  if ("const" in rule && value !== rule.const) return wrong(`should be ${rule.const}`);
  if (rule.enum && !rule.enum.includes(value)) return wrong(`should be one of ${rule.enum}`);
  if (rule.type && !hasType(value, rule.type)) return wrong(`should be of type ${rule.type}`);
  if (typeof value === "number") return withinBounds(rule, value) ? null : wrong("is out of range");
  if (typeof value === "string") return hasForm(rule, value) ? null : wrong("has another form");
  if (Array.isArray(value)) return violationInList(rule, value, root, place);
  if (value !== null && typeof value === "object") return violationInObject(rule, value, root, place);
  return null;
}

function hasType(value, type) {
  switch (type) {
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return value !== null && typeof value === "object" && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}

function withinBounds(rule, value) {
  return (
    value >= (rule.minimum ?? -Infinity) &&
    value <= (rule.maximum ?? Infinity) &&
    value > (rule.exclusiveMinimum ?? -Infinity) &&
    value < (rule.exclusiveMaximum ?? Infinity)
  );
}

function hasForm(rule, value) {
  if (rule.pattern && !new RegExp(rule.pattern, "u").test(value)) return false;
  if (rule.format === "printable") return isPrintable(value);
  if (rule.format === "date-time") {
    const moment = new Date(value);
    return !Number.isNaN(moment.getTime()) && moment.toISOString() === value;
  }
  const length = Array.from(value).length;
  return length >= (rule.minLength ?? 0) && length <= (rule.maxLength ?? Infinity);
}

function violationInList(rule, value, root, place) {
  if (value.length < (rule.minItems ?? 0) || value.length > (rule.maxItems ?? Infinity)) {
    return `${place}: holds ${value.length} items`;
  }
  for (const [i, item] of value.entries()) {
    const rules = rule.prefixItems?.[i] ?? rule.items;
    const found = rules ? violation(rules, item, root, `${place}.${i}`) : null;
    if (found !== null) return found;
  }
  return null;
}

function violationInObject(rule, value, root, place) {
  const inside = (key) => (place ? `${place}.${key}` : key);
  for (const key of rule.required ?? []) {
    if (!Object.hasOwn(value, key)) return `${inside(key)}: is missing`;
  }
  for (const [key, item] of Object.entries(value)) {
    const known = rule.properties && Object.hasOwn(rule.properties, key);
    const rules = known ? rule.properties[key] : rule.additionalProperties;
    if (rules === false) return `${inside(key)}: is not known`;
    if (rules === undefined || rules === true) continue;
    const found = violation(rules, item, root, inside(key));
    if (found !== null) return found;
  }
  return null;
}
