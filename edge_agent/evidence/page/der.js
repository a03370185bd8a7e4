// DER (X.690), as far as certificates, revocation lists and time-stamps need it.
"use strict";

const KNOWN_NAMES = {
  "2.5.4.3": "CN",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.9": "STREET",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "0.9.2342.19200300.100.1.25": "DC",
  "0.9.2342.19200300.100.1.1": "UID",
};

/** One element at an offset: {tag, content, whole, end}; throws for anything but DER. */
function element(bytes, at = 0) {
  let length = bytes[at + 1];
  let start = at + 2;
  if (length === undefined || (bytes[at] & 0x1f) === 0x1f) throw new Error("is not DER");
  if (length > 0x7f) {
    const count = length & 0x7f;
    const digits = bytes.subarray(start, start + count);
    length = digits.reduce((sum, byte) => sum * 256 + byte, 0);
    if (count < 1 || count > 4 || digits[0] === 0 || length < 0x80) throw new Error("is not DER");
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw new Error("is cut short");
  const [content, whole] = [bytes.subarray(start, end), bytes.subarray(at, end)];
  return { tag: bytes[at], content, whole, end };
}

/** The one element that the bytes consist of; throws when it has another tag or more follows. */
function only(bytes, tag) {
  const found = element(bytes);
  if (found.tag !== tag || found.end !== bytes.length) throw new Error("is not DER");
  return found;
}

/** The elements inside a constructed one. */
function children(parent) {
  const found = [];
  for (let at = 0; at < parent.content.length; ) {
    const child = element(parent.content, at);
    found.push(child);
    at = child.end;
  }
  return found;
}

const NOTHING = { content: new Uint8Array() };

/** The elements of a SET OF, which have one tag and stand in the order of their bytes. */
function setOf(parent, tag = 0x30) {
  const found = children(parent);
  const isSorted = found.every(({ whole }, i) => i === 0 || hex(found[i - 1].whole) <= hex(whole));
  if (!isSorted || found.some((each) => each.tag !== tag)) throw new Error("is not DER");
  return found;
}

/** Takes the next of these elements if it has the tag, else leaves it and returns undefined. */
function takeIf(fields, tag) {
  return fields[0]?.tag === tag ? fields.shift() : undefined;
}

/** Takes the next of these elements; throws when it has another tag. */
function take(fields, tag) {
  const found = takeIf(fields, tag);
  if (found === undefined) throw new Error("is not what it should be");
  return found;
}

/** Takes elements of these tags and no others, in this order; throws when there are more. */
function takeAll(parent, ...tags) {
  const fields = children(parent);
  const found = tags.map((tag) => take(fields, tag));
  requireNoMore(fields);
  return found;
}

function requireNoMore(fields) {
  if (fields.length > 0) throw new Error("is not what it should be");
}

/** An object identifier in dots. */
function oidOf({ content }) {
  const arcs = [];
  let arc = 0n;
  for (const byte of content) {
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte & 0x80) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const first = arcs[0] < 80n ? arcs[0] / 40n : 2n;
  return [first, arcs[0] - 40n * first, ...arcs.slice(1)].join(".");
}

/** An INTEGER that is not negative, as a number. */
function numberOf({ content }) {
  const isShortest = content.length === 1 || content[0] > 0 || content[1] > 0x7f;
  if (content.length === 0 || content.length > 6 || content[0] > 0x7f || !isShortest) {
    throw new Error("is out of range");
  }
  return content.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** The bytes of a BIT STRING of whole bytes. */
function bitsOf({ content }) {
  if (content[0] !== 0) throw new Error("is not of whole bytes");
  return content.subarray(1);
}

/** UTCTime or GeneralizedTime (RFC 5280 4.1.2.5; RFC 3161: with a fraction) as ms since 1970. */
function moment({ tag, content }) {
  const [, years, ...rest] =
    /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\.\d*[1-9])?Z$/.exec(textOf(content)) ?? [];
  if (years?.length !== { 0x17: 2, 0x18: 4 }[tag]) throw new Error("holds no date");
  const [month, day, hour, minute, second] = rest.slice(0, 5).map(Number);
  const whole = tag === 0x17 ? Number(years) + (years < 50 ? 2000 : 1900) : Number(years);
  return Date.UTC(whole, month - 1, day, hour, minute, second) + 1000 * Number(rest[5] ?? 0);
}

/** RFC 3339 in UTC with milliseconds, rounded down from whole microseconds. */
function utcText(ms) {
  return new Date(Math.floor(Math.round(1000 * ms) / 1000)).toISOString();
}

/** A Name: {text: as in RFC 4514, commonNames, whole: its bytes}. */
function nameOf(field) {
  const attributes = children(field).flatMap(children).map((attribute) => {
    const [oid, value] = children(attribute);
    return [oidOf(oid), value.tag === 0x1e ? utf16(value.content) : textOf(value.content)];
  });
  const parts = attributes.map(([oid, value]) => `${KNOWN_NAMES[oid] ?? oid}=${escapedValue(value)}`);
  const commonNames = attributes.filter(([oid]) => oid === "2.5.4.3").map(([, value]) => value);
  return { text: parts.reverse().join(","), commonNames, whole: field.whole };
}

function utf16(bytes) {
  return new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true }).decode(bytes);
}

function escapedValue(value) {
  const inside = value.replace(/[\\"+,;<>]/g, "\\$&").replaceAll("\0", "\\00");
  return inside.replace(/^(#| (?=.))/s, "\\$1").replace(/ $/, "\\ ");
}

/** Extensions by their identifier: {isCritical, value: bytes}. */
function extensionsOf(list) {
  const found = new Map();
  for (const extension of list ? children(list) : []) {
    const fields = children(extension);
    const oid = oidOf(take(fields, 0x06));
    const critical = takeIf(fields, 0x01);
    if (found.has(oid)) throw new Error("holds an extension twice");
    found.set(oid, { isCritical: critical?.content[0] === 0xff, value: take(fields, 0x04).content });
  }
  return found;
}
