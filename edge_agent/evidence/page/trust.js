// Certificates (RFC 5280) and who issued them; signatures through WebCrypto.
"use strict";

const MAX_CHAIN = 8;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const P256 = { name: "ECDSA", namedCurve: "P-256" };
const OID = {
  "2a864886f70d010101": "RSA",
  "2a8648ce3d0201": "EC",
  "2b6570": "Ed25519",
  "2a8648ce3d030107": "P-256",
  "2b81040022": "P-384",
  "2b81040023": "P-521",
  "2a8648ce3d040302": { key: "EC", hash: "SHA-256" },
  "2a8648ce3d040303": { key: "EC", hash: "SHA-384" },
  "2a8648ce3d040304": { key: "EC", hash: "SHA-512" },
  "2a864886f70d01010b": { key: "RSA", hash: "SHA-256" },
  "2a864886f70d01010c": { key: "RSA", hash: "SHA-384" },
  "2a864886f70d01010d": { key: "RSA", hash: "SHA-512" },
};
const COMMON_NAME = "550403";
const BASIC_CONSTRAINTS = "551d13";

/** One DER element at an offset: {tag, content, whole, end}; throws when it is cut short. */
function element(bytes, at = 0) {
  let length = bytes[at + 1];
  let start = at + 2;
  if (length === undefined || length === 0x80) throw new Error("is not DER");
  if (length > 0x80) {
    const count = length & 0x7f;
    if (count > 4) throw new Error("is not DER");
    length = bytes.subarray(start, start + count).reduce((sum, byte) => sum * 256 + byte, 0);
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw new Error("is cut short");
  const [content, whole] = [bytes.subarray(start, end), bytes.subarray(at, end)];
  return { tag: bytes[at], content, whole, end };
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

function parseCertificate(der) {
  const outer = element(der);
  if (outer.tag !== 0x30 || outer.end !== der.length) throw new Error("is not a certificate");
  const [tbs, algorithm, signature] = children(outer);
  const fields = children(tbs);
  if (fields[0].tag === 0xa0) fields.shift();
  const [, , issuer, validity, subject, spki] = fields;
  const [notBefore, notAfter] = children(validity).map(moment);
  const extensions = fields.slice(6).find((field) => field.tag === 0xa3);
  return {
    der,
    tbs: tbs.whole,
    algorithm: OID[hex(children(algorithm)[0].content)],
    signature: signature.content.subarray(1),
    issuer: issuer.whole,
    subject: subject.whole,
    names: commonNames(subject),
    notBefore,
    notAfter,
    spki: spki.whole,
    kind: keyKind(spki),
    isAuthority: isAuthority(extensions),
  };
}

/** UTCTime or GeneralizedTime (RFC 5280 4.1.2.5) as ms since 1970. */
function moment(field) {
  const text = textOf(field.content);
  const found = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (!found || found[1].length !== (field.tag === 0x17 ? 2 : 4)) throw new Error("holds no date");
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  const whole = field.tag === 0x17 ? year + (year < 50 ? 2000 : 1900) : year;
  return Date.UTC(whole, month - 1, day, hour, minute, second);
}

function commonNames(subject) {
  const names = [];
  for (const set of children(subject)) {
    for (const attribute of children(set)) {
      const [oid, value] = children(attribute);
      if (hex(oid.content) === COMMON_NAME) names.push(textOf(value.content));
    }
  }
  return names;
}

function keyKind(spki) {
  const [algorithm, curve] = children(children(spki)[0]).map((field) => OID[hex(field.content)]);
  return { algorithm, curve };
}

function isAuthority(extensions) {
  if (!extensions) return false;
  for (const extension of children(children(extensions)[0])) {
    const parts = children(extension);
    if (hex(parts[0].content) !== BASIC_CONSTRAINTS) continue;
    const flag = children(element(parts.at(-1).content))[0];
    return flag !== undefined && flag.tag === 0x01 && flag.content[0] !== 0;
  }
  return false;
}

/** Certificates of a PEM file; throws for what is none. */
function parsePem(bytes) {
  const blocks = textOf(bytes).matchAll(
    /-----BEGIN (?:X509 )?CERTIFICATE-----\s([A-Za-z0-9+/=\s]*?)-----END (?:X509 )?CERTIFICATE-----/g,
  );
  const found = Array.from(blocks, (block) => {
    return parseCertificate(fromBase64(block[1].replace(/\s/g, "")));
  });
  if (found.length === 0) throw new Error("is not a certificate in PEM form");
  if (found.length > MAX_CHAIN) throw new Error(`holds more than ${MAX_CHAIN} certificates`);
  return found;
}

/** The chain of a bundle: certificates, the device's key, its fingerprint and name. */
async function readChain(bytes) {
  let certificates;
  try {
    certificates = parsePem(bytes);
  } catch (error) {
    const known = /^(is not a certificate in PEM form|holds more than)/.test(error.message);
    throw new Error(known ? error.message : "is not a certificate in PEM form");
  }
  const device = certificates[0];
  if (device.kind.algorithm !== "EC" || device.kind.curve !== "P-256") {
    throw new Error("is for another kind of key than P-256");
  }
  let key;
  try {
    key = await crypto.subtle.importKey("spki", device.spki, P256, true, ["verify"]);
  } catch {
    throw new Error("holds a key or a name that nobody can use");
  }
  const name = device.names.length === 1 ? printable(device.names[0]) : "";
  return { certificates, key, name, fingerprint: hex(await sha256(device.der)) };
}

/** True when the device's key signed exactly this (ES256; DER in its one accepted form, low s). */
async function covers(chain, data, signature) {
  const parts = signatureParts(signature);
  if (parts === null || parts.s > P256_ORDER / 2n) return false;
  const raw = joined([fixed(parts.r, 32), fixed(parts.s, 32)]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, chain.key, raw, data);
}

/** r and s of an ECDSA signature in DER; null for anything but its shortest form. */
function signatureParts(signature, width = 32) {
  try {
    const outer = element(signature);
    const parts = children(outer);
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

/** What is wrong with the chain itself; `when` (RFC 3339 or null): it must have been valid then. */
async function chainFlaws(chain, when) {
  const flaws = (await isLinked(chain.certificates)) ? [] : ["its signatures do not form a chain"];
  const at = when === null ? null : Date.parse(when);
  const isValid = at === null || chain.certificates.every((c) => c.notBefore <= at && at <= c.notAfter);
  if (!isValid) flaws.push(`was not valid at the time of capture, ${when}`);
  return flaws;
}

async function isLinked(certificates) {
  for (let i = 0; i + 1 < certificates.length; i++) {
    if (!(await isIssued(certificates[i], certificates[i + 1], true))) return false;
  }
  const last = certificates.at(-1);
  return !sameBytes(last.issuer, last.subject) || isIssued(last, last, false);
}

/** True when the last certificate is one of the roots or was issued by one. */
async function leadsTo(chain, roots) {
  const last = chain.certificates.at(-1);
  for (const root of roots) {
    if (chain.certificates.some((each) => sameBytes(each.der, root.der))) return true;
    if (await isIssued(last, root, true)) return true;
  }
  return false;
}

async function isIssued(certificate, issuer, needsAuthority) {
  if (!sameBytes(certificate.issuer, issuer.subject)) return false;
  if (needsAuthority && !issuer.isAuthority) return false;
  try {
    return await isSignedBy(certificate, issuer);
  } catch {
    return false;
  }
}

async function isSignedBy(certificate, issuer) {
  const { algorithm: keyName, curve } = issuer.kind;
  const [data, signature] = [certificate.tbs, certificate.signature];
  if (certificate.algorithm === "Ed25519" && keyName === "Ed25519") {
    const key = await crypto.subtle.importKey("spki", issuer.spki, "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", key, signature, data);
  }
  const { key: wanted, hash } = certificate.algorithm ?? {};
  if (wanted === undefined || wanted !== keyName) return false;
  if (wanted === "RSA") {
    const how = { name: "RSASSA-PKCS1-v1_5", hash };
    const key = await crypto.subtle.importKey("spki", issuer.spki, how, false, ["verify"]);
    return crypto.subtle.verify(how, key, signature, data);
  }
  const width = { "P-256": 32, "P-384": 48, "P-521": 66 }[curve];
  const parts = signatureParts(signature, width);
  if (width === undefined || parts === null) return false;
  const how = { name: "ECDSA", namedCurve: curve };
  const key = await crypto.subtle.importKey("spki", issuer.spki, how, false, ["verify"]);
  const raw = joined([fixed(parts.r, width), fixed(parts.s, width)]);
  return crypto.subtle.verify({ name: "ECDSA", hash }, key, raw, data);
}
