// The transparency log's proof (c2sp.org/tlog-proof, RFC 6962): is the manifest an entry of it?
"use strict";

const [PROOF, DEVICE] = ["proof.tlog-proof", "device.json"];
const [ED25519, COSIGNATURE] = [0x01, 0x04]; // a plain signature, a witness's with its time
const [MAX_NOTE, MAX_SIGNATURES] = [1 << 18, 64];
const NUMBER = "(0|[1-9][0-9]{0,18})";

/** What is wrong with the leaf, with its inclusion and with the checkpoint: [code, file, text]. */
async function logFlaws(manifest, text, proof, device) {
  const place = manifest.log;
  if (place === null) return [];
  if (proof === null) {
    return [["missing", PROOF, "is missing: it would prove that the bundle is in the log"]];
  }
  let found, told;
  try {
    found = parseProof(proof);
    told = parseCheckpoint(found.note.text);
  } catch (error) {
    return [["inclusion", PROOF, printable(error.message)]];
  }
  const flaws = [];
  if (told.origin !== place.origin || found.index !== BigInt(place.index)) {
    const whose = printable(`entry ${found.index} of ${told.origin}`);
    const text = `is for ${whose}; this is entry ${place.index} of ${place.origin}`;
    flaws.push(["leaf", PROOF, text]);
  } else {
    const flaw = await inclusionFlaw(found, told, text);
    if (flaw !== null) flaws.push(["inclusion", PROOF, `the bundle is not in the log: ${flaw}`]);
  }
  return flaws.concat(await checkpointFlaws(found.note, told.origin, device));
}

async function checkpointFlaws(note, origin, device) {
  let key;
  try {
    key = await parseVkey(JSON.parse(textOf(device)).log.key);
  } catch {
    return [["checkpoint", DEVICE, "does not name the key that signs the log"]];
  }
  if (key.name !== origin) {
    return [["checkpoint", DEVICE, "names the key of another log than the checkpoint's"]];
  }
  try {
    if ((await signedBy(note, key)) !== null) return [];
  } catch (error) {
    return [["checkpoint", PROOF, printable(error.message)]];
  }
  return [["checkpoint", PROOF, "the checkpoint is not signed by the device's log"]];
}

/** The signature that a key made under a note, or null; throws for one that is wrong. */
async function signedBy({ text, signatures }, key) {
  const isIts = (one) => one.name === key.name && sameBytes(one.keyId, key.id);
  const signature = signatures.find(isIts);
  if (signature === undefined) return null;
  const isCosigned = key.algorithm === COSIGNATURE;
  if (signature.data.length !== (isCosigned ? 72 : 64)) {
    throw new Error(`the signature of ${key.name} has another length than its key's`);
  }
  const signed = isCosigned ? `cosignature/v1\ntime ${secondsOf(signature.data)}\n${text}` : text;
  if (!(await isSignedRaw(key.public, signature.data.subarray(-64), utf8.encode(signed)))) {
    throw new Error(`the signature of ${key.name} does not fit the text`);
  }
  return signature;
}

/** The POSIX time at the beginning of a cosignature, as a BigInt. */
function secondsOf(data) {
  return BigInt(`0x${hex(data.subarray(0, 8))}`);
}

async function inclusionFlaw(proof, told, record) {
  let root;
  try {
    root = await rootOfPath(await leafHash(record), proof.index, told.size, proof.path);
  } catch (error) {
    return error.message;
  }
  return sameBytes(root, told.root) ? null : "the audit path does not lead to the root";
}

function leafHash(record) {
  return sha256(joined([Uint8Array.of(0), record]));
}

function nodeHash(left, right) {
  return sha256(joined([Uint8Array.of(1), left, right]));
}

/** The root that an audit path leads to (RFC 9162, 2.1.3.2); throws for one of another length. */
async function rootOfPath(leaf, index, size, path) {
  if (index >= size) throw new Error(`entry ${index} is not in a tree of ${size}`);
  let [place, last, found] = [index, size - 1n, leaf];
  for (const step of path) {
    if (last === 0n) throw new Error("the audit path is too long");
    if (place & 1n || place === last) {
      found = await nodeHash(step, found);
      while (!(place & 1n) && place) [place, last] = [place >> 1n, last >> 1n];
    } else {
      found = await nodeHash(found, step);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  if (last !== 0n) throw new Error("the audit path is too short");
  return found;
}

function parseProof(bytes) {
  if (bytes.length > MAX_NOTE) throw new Error("is larger than any proof");
  const whole = textOf(bytes);
  const at = whole.indexOf("\n\n");
  const lines = whole.slice(0, Math.max(at, 0)).split("\n");
  if (at < 0 || lines.shift() !== "c2sp.org/tlog-proof@v1") {
    throw new Error("is not a proof of the kind c2sp.org/tlog-proof@v1");
  }
  if (lines.length && lines[0].startsWith("extra ")) fromBase64(lines.shift().slice(6));
  const index = new RegExp(`^index ${NUMBER}$`).exec(lines.shift() ?? "");
  const path = lines.map(nonEmpty);
  if (index === null || path.some((step) => step.length !== 32)) {
    throw new Error("is not a proof: its index or its path cannot be read");
  }
  return { index: BigInt(index[1]), path, note: parseNote(whole.slice(at + 2)) };
}

/** A signed note (c2sp.org/signed-note): {text, signatures: [{name, keyId, data}]}. */
function parseNote(whole) {
  if (/[\x00-\x09\x0b-\x1f]/.test(whole)) {
    throw new Error("is not a note: it holds a control character");
  }
  const at = whole.lastIndexOf("\n\n");
  const lines = whole.slice(at + 2);
  if (at <= 0 || !lines.endsWith("\n")) {
    throw new Error("is not a note: its signatures are missing");
  }
  const signatures = lines.slice(0, -1).split("\n").map(parseSignature);
  if (signatures.length > MAX_SIGNATURES) {
    throw new Error(`holds more than ${MAX_SIGNATURES} signatures`);
  }
  return { text: whole.slice(0, at + 1), signatures };
}

function parseSignature(line) {
  const parts = /^— ([^\s+]+) ([A-Za-z0-9+/=]+)$/u.exec(line);
  const raw = parts === null ? [] : nonEmpty(parts[2]);
  if (raw.length <= 4) throw new Error("is not a note: one of its signatures cannot be read");
  return { name: parts[1], keyId: raw.subarray(0, 4), data: raw.subarray(4) };
}

/** A checkpoint (c2sp.org/tlog-checkpoint): {origin, size, root}. */
function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.length < 4 || lines.pop() !== "" || lines.includes("")) {
    throw new Error("is not a checkpoint: it has fewer than three lines, or empty ones");
  }
  const [origin, size, root] = lines;
  if (!new RegExp(`^${NUMBER}$`).test(size)) {
    throw new Error("is not a checkpoint: its second line is not a number of records");
  }
  const hashed = nonEmpty(root);
  if (hashed.length !== 32) {
    throw new Error("is not a checkpoint: its third line is not a SHA-256 hash");
  }
  return { origin, size: BigInt(size), root: hashed };
}

/** A verifier key `name+id+key`: {name, id, algorithm, public}; throws for anything else. */
async function parseVkey(text) {
  const parts = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(text);
  if (parts === null) throw new Error("is not a verifier key (name+id+key)");
  const material = nonEmpty(parts[3]);
  if (![ED25519, COSIGNATURE].includes(material[0]) || material.length !== 33) {
    throw new Error("is not an Ed25519 key");
  }
  const told = joined([utf8.encode(`${parts[1]}\n`), material]);
  const id = (await sha256(told)).subarray(0, 4);
  if (hex(id) !== parts[2]) {
    throw new Error("is a verifier key whose id does not fit: mistyped?");
  }
  return { name: parts[1], id, algorithm: material[0], public: material.subarray(1) };
}

/** Bytes of base64 in its one form; throws for none at all. */
function nonEmpty(text) {
  const bytes = fromBase64(text);
  if (bytes.length === 0 || base64(bytes) !== text) throw new Error("is not in canonical base64");
  return bytes;
}
