// Who signed: RSA (PKCS #1 v1.5, PSS), ECDSA and Ed25519 through WebCrypto.
"use strict";

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const WIDTHS = { "P-256": 32, "P-384": 48, "P-521": 66 };
const HASHES = {
  "2.16.840.1.101.3.4.2.1": "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
};
const KEYS = {
  "1.2.840.113549.1.1.1": "RSA",
  "1.2.840.10045.2.1": "EC",
  "1.3.101.112": "Ed25519",
};
const CURVES = {
  "1.2.840.10045.3.1.7": "P-256",
  "1.3.132.0.34": "P-384",
  "1.3.132.0.35": "P-521",
};
const RSA_PSS = "1.2.840.113549.1.1.10";
const ALGORITHMS = {
  "1.2.840.10045.4.3.2": { key: "EC", hash: "SHA-256" },
  "1.2.840.10045.4.3.3": { key: "EC", hash: "SHA-384" },
  "1.2.840.10045.4.3.4": { key: "EC", hash: "SHA-512" },
  "1.2.840.113549.1.1.11": { key: "RSA", hash: "SHA-256" },
  "1.2.840.113549.1.1.12": { key: "RSA", hash: "SHA-384" },
  "1.2.840.113549.1.1.13": { key: "RSA", hash: "SHA-512" },
  "1.3.101.112": { key: "Ed25519" },
};

/** The key in a SubjectPublicKeyInfo: {spki, kind, curve}. */
function publicKeyOf(field) {
  const [algorithm, parameters] = children(children(field)[0]);
  const curve = parameters?.tag === 0x06 ? CURVES[oidOf(parameters)] : undefined;
  return { spki: field.whole, kind: KEYS[oidOf(algorithm)], curve };
}

/** Algorithm of a signature, {key, hash}; undefined for one that this page does not know. */
function algorithmOf(field) {
  const fields = children(field);
  const oid = oidOf(take(fields, 0x06));
  return oid === RSA_PSS ? pssOf(take(fields, 0x30)) : ALGORITHMS[oid];
}

/** RSASSA-PSS (RFC 4055, 3.1) with one hash for both of its uses, none of them left to default. */
function pssOf(parameters) {
  const [hash, mask, salt] = takeAll(parameters, 0xa0, 0xa1, 0xa2).map((each) => children(each)[0]);
  const [, maskHash] = takeAll(mask, 0x06, 0x30);
  const [outer, inner] = [hash, maskHash].map((each) => HASHES[oidOf(children(each)[0])]);
  if (outer === undefined || outer !== inner) return undefined;
  return { key: "RSA", hash: outer, saltLength: numberOf(salt) };
}

/** True when this key signed exactly this data. */
async function isSigned(key, algorithm, signature, data) {
  if (algorithm === undefined || algorithm.key !== key.kind) return false;
  try {
    return await SIGNED[key.kind](key, algorithm, signature, data);
  } catch {
    return false; // a key or a length that WebCrypto refuses
  }
}

const SIGNED = {
  async Ed25519({ spki }, _, signature, data) {
    const key = await crypto.subtle.importKey("spki", spki, "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", key, signature, data);
  },
  async RSA({ spki }, { hash, saltLength }, signature, data) {
    const name = saltLength === undefined ? "RSASSA-PKCS1-v1_5" : "RSA-PSS";
    const how = { name, hash, saltLength };
    const key = await crypto.subtle.importKey("spki", spki, how, false, ["verify"]);
    return crypto.subtle.verify(how, key, signature, data);
  },
  async EC({ spki, curve }, { hash }, signature, data) {
    const parts = signatureParts(signature, WIDTHS[curve]);
    if (parts === null) return false;
    const how = { name: "ECDSA", namedCurve: curve };
    const key = await crypto.subtle.importKey("spki", spki, how, false, ["verify"]);
    const raw = joined([fixed(parts.r, WIDTHS[curve]), fixed(parts.s, WIDTHS[curve])]);
    return crypto.subtle.verify({ name: "ECDSA", hash }, key, raw, data);
  },
};

/** True for the one accepted form of a P-256 signature, that with the lower s. */
function hasLowS(signature) {
  const parts = signatureParts(signature, 32);
  return parts !== null && parts.s <= P256_ORDER / 2n;
}

/** True when the Ed25519 key of 32 bytes signed this. */
async function isSignedRaw(publicKey, signature, data) {
  const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, signature, data);
}

/** r and s of an ECDSA signature in DER; null for anything but its shortest form. */
function signatureParts(signature, width) {
  try {
    const parts = children(element(signature));
    const [r, s] = parts.map((part) => BigInt("0x" + (hex(part.content) || "0")));
    const again = derSequence([derInteger(r), derInteger(s)]);
    const limit = 1n << BigInt(8 * width);
    return sameBytes(again, signature) && r < limit && s < limit ? { r, s } : null;
  } catch {
    return null;
  }
}

function derSequence(parts) {
  const content = joined(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return joined([Uint8Array.from([0x30, ...length]), content]);
}

function derInteger(value) {
  let text = value.toString(16);
  if (text.length % 2) text = "0" + text;
  if (parseInt(text.slice(0, 2), 16) > 0x7f) text = "00" + text;
  const content = Uint8Array.from(text.match(/../g), (byte) => parseInt(byte, 16));
  return joined([Uint8Array.from([0x02, content.length]), content]);
}

function fixed(value, width) {
  const text = value.toString(16).padStart(2 * width, "0");
  return Uint8Array.from(text.match(/../g), (byte) => parseInt(byte, 16));
}

/** False in browsers whose WebCrypto lacks Ed25519: a device's log and witnesses sign with it. */
async function hasEd25519() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), "Ed25519", false, ["verify"]);
    return true;
  } catch {
    return false;
  }
}
