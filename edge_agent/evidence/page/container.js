// The container: a ZIP with one possible form for given members (APPNOTE.TXT 6.3.10).
"use strict";

const MAX_BYTES = 2 ** 30;
const MAX_MEMBERS = 256;
const ENCRYPTED_OR_STREAMED = 0x1 | 0x8;

class ContainerError extends Error {
  constructor(member, text, isBundle = true) {
    super(text);
    Object.assign(this, { member, isBundle });
  }
}

/** The members in order, each {name, data, start, end}; `data` is null when it is compressed. */
function unpack(bytes) {
  const members = [];
  const names = new Set();
  let at = 0;
  while (beginsWith(bytes, at, "PK\x03\x04")) {
    const member = memberAt(bytes, at);
    if (names.has(member.name)) throw new ContainerError(member.name, "is in the container twice");
    names.add(member.name);
    members.push(member);
    if (members.length > MAX_MEMBERS) throw new ContainerError("", `more than ${MAX_MEMBERS} files`);
    at = member.end;
  }
  if (members.length === 0) {
    throw new ContainerError("", "is not an evidence bundle: it begins with no file", false);
  }
  if (!beginsWith(bytes, at, "PK\x01\x02")) {
    const text = `what follows it, at byte ${at}, is no file: damaged or cut short`;
    throw new ContainerError(members.at(-1).name, text);
  }
  return members;
}

/** The one container that holds these {name, data} in this order, piece by piece. */
function* packed(members) {
  const directory = [];
  let [at, size] = [0, 0];
  for (const { name, data } of members) {
    const label = utf8.encode(name);
    const common = [[2, 20], [2, 0], [2, 0], [2, 0], [2, 0x21], [4, crc32(data)]];
    common.push([4, data.length], [4, data.length], [2, label.length], [2, 0]);
    const local = joined([utf8.encode("PK\x03\x04"), numbers(common), label]);
    const tail = [[2, 0], [2, 0], [2, 0], [4, 0o100644 * 0x10000], [4, at]];
    const entry = [numbers([[2, 0x300 | 20], ...common, ...tail]), label];
    const central = joined([utf8.encode("PK\x01\x02"), ...entry]);
    yield local;
    yield data;
    directory.push(central);
    at += local.length + data.length;
    size += central.length;
  }
  yield* directory;
  const count = directory.length;
  const end = [[2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]];
  yield joined([utf8.encode("PK\x05\x06"), numbers(end)]);
}

/** Where the pieces, one after the other, differ from the bytes first; null: nowhere. */
function firstDifference(pieces, bytes) {
  let at = 0;
  for (const piece of pieces) {
    const isItself = piece.buffer === bytes.buffer && piece.byteOffset === bytes.byteOffset + at;
    for (let i = isItself ? piece.length : 0; i < piece.length; i++) {
      if (piece[i] !== bytes[at + i]) return at + i;
    }
    at += piece.length;
  }
  return at === bytes.length ? null : Math.min(at, bytes.length);
}

function numbers(fields) {
  const bytes = [];
  for (const [width, value] of fields) {
    for (let i = 0; i < width; i++) bytes.push(Math.floor(value / 256 ** i) & 0xff);
  }
  return Uint8Array.from(bytes);
}

function beginsWith(bytes, at, mark) {
  return Array.from(mark).every((char, i) => bytes[at + i] === char.charCodeAt(0));
}

function memberAt(bytes, at) {
  if (at + 30 > bytes.length) {
    throw new ContainerError("", `the file is cut short at byte ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 30);
  const [flags, method] = [view.getUint16(6, true), view.getUint16(8, true)];
  const size = view.getUint32(18, true);
  const label = at + 30;
  const name = safeName(bytes.subarray(label, label + view.getUint16(26, true)));
  const start = label + view.getUint16(26, true) + view.getUint16(28, true);
  if (flags & ENCRYPTED_OR_STREAMED) {
    throw new ContainerError(name, "is encrypted or streamed: the bundle was repacked");
  }
  if (start + size > bytes.length) {
    throw new ContainerError(name, `reaches past the end: cut short at byte ${bytes.length}`);
  }
  const data = method === 0 ? bytes.subarray(start, start + size) : null;
  return { name, data, start: at, end: start + size };
}

function safeName(label) {
  const name = String.fromCharCode(...label);
  if (!/^[ -~]{1,200}$/.test(name)) {
    throw new ContainerError(printable(name.slice(0, 200)), "is not a file name that a bundle may hold");
  }
  if (name.split("/").some((part) => ["", ".", ".."].includes(part)) || /[\\:]/.test(name)) {
    throw new ContainerError(name, "points outside the bundle's own folder; refused");
  }
  return name;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
