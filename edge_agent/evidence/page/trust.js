// Certificates (RFC 5280): whose they are, and who issued them.
"use strict";

const MAX_CHAIN = 8;
const BASIC_CONSTRAINTS = "2.5.29.19";

function parseCertificate(der) {
  const [tbs, algorithm, signature] = takeAll(only(der, 0x30), 0x30, 0x30, 0x03);
  const fields = children(tbs);
  takeIf(fields, 0xa0);
  const serial = take(fields, 0x02).content;
  const inner = take(fields, 0x30);
  const [issuer, validity, subject, spki] = fields.splice(0, 4);
  const [notBefore, notAfter] = children(validity).map(moment);
  const extensions = fields.find((field) => field.tag === 0xa3);
  return {
    der,
    tbs: tbs.whole,
    serial,
    algorithm: sameBytes(inner.whole, algorithm.whole) ? algorithmOf(algorithm) : undefined,
    signature: bitsOf(signature),
    issuer: nameOf(issuer),
    subject: nameOf(subject),
    notBefore,
    notAfter,
    key: publicKeyOf(spki),
    extensions: extensionsOf(extensions && children(extensions)[0]),
  };
}

/** What its basic constraints say: {isAuthority, pathLength}. */
function constraintsOf({ extensions }) {
  const found = extensions.get(BASIC_CONSTRAINTS);
  const fields = found ? children(only(found.value, 0x30)) : [];
  const isAuthority = takeIf(fields, 0x01)?.content[0] === 0xff;
  const longest = takeIf(fields, 0x02);
  return { isAuthority, pathLength: longest ? numberOf(longest) : Infinity };
}

/** What stands between the lines that begin and end such a block, as bytes, one by one. */
function pemBlocks(bytes, label) {
  const text = Array.from({ length: Math.ceil(bytes.length / 0x8000) }, (_, i) =>
    String.fromCharCode(...bytes.subarray(0x8000 * i, 0x8000 * (i + 1))),
  ).join("");
  const block = new RegExp(`-----BEGIN ${label}-----\\s([^-]*?)-----END ${label}-----`, "g");
  return Array.from(text.matchAll(block), ([, inside]) => fromBase64(inside.replace(/\s/g, "")));
}

/** Certificates of a PEM file; throws for what is none. */
function parsePem(bytes) {
  let found;
  try {
    found = pemBlocks(bytes, "(?:X509 )?CERTIFICATE").map(parseCertificate);
  } catch {
    found = [];
  }
  if (found.length === 0) throw new Error("is not a certificate in PEM form");
  if (found.length > MAX_CHAIN) throw new Error(`holds more than ${MAX_CHAIN} certificates`);
  return found;
}

/** The chain of a bundle, from PEM. */
async function readChain(bytes) {
  return chainOf(parsePem(bytes));
}

/** Certificates of a bundle, and whose they are: name, key and its fingerprint. */
async function chainOf(certificates) {
  const device = certificates[0];
  const { kind, curve, spki } = device.key;
  if (kind !== "EC" || curve !== "P-256") throw new Error("is for another kind of key than P-256");
  try {
    await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: curve }, false, ["verify"]);
  } catch {
    throw new Error("holds a key or a name that nobody can use");
  }
  const names = device.subject.commonNames;
  const name = names.length === 1 ? printable(names[0]) : "";
  return { certificates, key: device.key, name, fingerprint: hex(await sha256(device.der)) };
}

/** True when the device's key signed exactly this (ES256; DER in its one accepted form, low s). */
async function covers(chain, data, signature) {
  const how = { key: "EC", hash: "SHA-256" };
  return hasLowS(signature) && isSigned(chain.key, how, signature, data);
}

/** What is wrong with the chain itself; `when` (RFC 3339 or null): it must have been valid then. */
async function chainFlaws(chain, when) {
  const flaws = (await isLinked(chain.certificates)) ? [] : ["its signatures do not form a chain"];
  const at = when === null ? null : Date.parse(when);
  const isValid = at === null || chain.certificates.every((each) => wasValid(each, at));
  if (!isValid) flaws.push(`was not valid at the time of capture, ${when}`);
  return flaws;
}

function wasValid({ notBefore, notAfter }, at) {
  return notBefore <= at && at <= notAfter;
}

async function isLinked(certificates) {
  for (let i = 0; i + 1 < certificates.length; i++) {
    if (!(await isIssued(certificates[i], certificates[i + 1], true))) return false;
  }
  const last = certificates.at(-1);
  return !isSelfIssued(last) || isIssued(last, last, false);
}

function isSelfIssued({ issuer, subject }) {
  return sameBytes(issuer.whole, subject.whole);
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
  if (!sameBytes(certificate.issuer.whole, issuer.subject.whole)) return false;
  try {
    if (needsAuthority && !constraintsOf(issuer).isAuthority) return false;
  } catch {
    return false;
  }
  return isSigned(issuer.key, certificate.algorithm, certificate.signature, certificate.tbs);
}
