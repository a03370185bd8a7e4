// When evidence was there at the latest: time-stamps (RFC 3161), signed as CMS (RFC 5652) says.
"use strict";

const TOKEN = "time.tsr";
const MAX_TOKEN_CERTIFICATES = 32; // those of real authorities hold one to four
const SIGNED_DATA = "1.2.840.113549.1.7.2";
const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const [CONTENT_TYPE, MESSAGE_DIGEST] = ["1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"];
const [KEY_USAGE, EXTENDED_KEY_USAGE] = ["2.5.29.15", "2.5.29.37"];
const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";
const UNDERSTOOD = [
  ...[KEY_USAGE, EXTENDED_KEY_USAGE, BASIC_CONSTRAINTS],
  // another name of the subject, policies, where lists lie: they limit nothing that counts here
  ...["2.5.29.17", "2.5.29.32", "2.5.29.31", "2.5.29.36", "2.5.29.33", "2.5.29.54"],
];
const SLACK_MS = 1000; // by which clocks may differ (GA/T 832-2014, 4.3)

/** What a time-stamp proves, {latest (ms), authority} or null, and what is wrong with it. */
async function judgeStamp(token, seal, manifest, stampers) {
  let stamp;
  try {
    stamp = await readStamp(token, seal, stampers);
  } catch (error) {
    return { stamp: null, flaws: [error.message] };
  }
  const shown = manifest.case.latest.utc;
  const isEarly = manifest.source.kind === "live" && stamp.latest + SLACK_MS < Date.parse(shown);
  const flaw = `is of ${utcText(stamp.latest)}, before what it shows: ${shown}`;
  return { stamp, flaws: isEarly ? [flaw] : [] };
}

async function readStamp(token, seal, stampers) {
  const { status, signedData, info } = parseAnswer(token);
  if (info.hash !== "SHA-256") throw new Error("is over another kind of hash than SHA-256");
  if (!sameBytes(info.hashed, await sha256(seal))) {
    throw new Error(`is for something else than this ${SEAL}`);
  }
  try {
    if (status !== 0) throw new Error("it was granted with changes");
    const signer = await signerOf(signedData);
    requirePurpose(signer);
    if (!(await reachesRoot(signer, signedData.certificates, stampers, info.time))) {
      throw new Error("its certificate does not lead to the one that was given");
    }
    return { latest: info.time + info.margin, authority: signer.subject.text };
  } catch (error) {
    throw new Error(`is not by a trusted authority: ${error.message}`);
  }
}

/** An authority's answer: {status, signedData, info}; throws for what is none, or a refusal. */
function parseAnswer(token) {
  const unreadable = new Error("cannot be read: it is no RFC 3161 answer in DER");
  let status, reasons, answer;
  try {
    answer = children(only(token, 0x30));
    const said = children(take(answer, 0x30));
    status = numberOf(take(said, 0x02));
    reasons = children(takeIf(said, 0x30) ?? NOTHING).map(({ content }) => textOf(content));
  } catch {
    throw unreadable;
  }
  if (status > 1) throw new Error(`was refused: ${reasons.join("; ") || `status ${status}`}`);
  try {
    const signedData = parseSignedData(take(answer, 0x30));
    return { status, signedData, info: parseInfo(signedData.content) };
  } catch {
    throw unreadable;
  }
}

/** SignedData (RFC 5652, 5.1) around a TSTInfo, with the parts of its one signer. */
function parseSignedData(contentInfo) {
  const [kind, wrapped] = takeAll(contentInfo, 0x06, 0xa0);
  if (oidOf(kind) !== SIGNED_DATA) throw new Error("is not signed");
  const fields = children(only(wrapped.content, 0x30));
  numberOf(take(fields, 0x02));
  const hashes = setOf(take(fields, 0x31)).map(hashOf);
  const [innerKind, inner] = takeAll(take(fields, 0x30), 0x06, 0xa0);
  if (oidOf(innerKind) !== TST_INFO) throw new Error("holds no time");
  const certificates = setOf(takeIf(fields, 0xa0) ?? NOTHING);
  if (certificates.length > MAX_TOKEN_CERTIFICATES) throw new Error("holds too many certificates");
  takeIf(fields, 0xa1);
  const signers = setOf(take(fields, 0x31)).map(parseSigner);
  requireNoMore(fields);
  return {
    content: only(inner.content, 0x04).content,
    certificates: certificates.map(({ whole }) => parseCertificate(whole)),
    hashes,
    signers,
  };
}

function parseSigner(info) {
  const fields = children(info);
  numberOf(take(fields, 0x02));
  const [issuer, serial] = takeAll(take(fields, 0x30), 0x30, 0x02);
  const hash = hashOf(take(fields, 0x30));
  const attributes = take(fields, 0xa0);
  algorithmOf(take(fields, 0x30)); // the scheme follows from the key and the hash
  const signature = take(fields, 0x04).content;
  takeIf(fields, 0xa1);
  requireNoMore(fields);
  return { issuer, serial, hash, attributes, told: attributesOf(attributes), signature };
}

/** Name of a hash algorithm as WebCrypto knows it; undefined for another one. */
function hashOf(algorithm) {
  const fields = children(algorithm);
  const oid = oidOf(take(fields, 0x06));
  if ((takeIf(fields, 0x05)?.content.length ?? 0) > 0) throw new Error("is not what it should be");
  requireNoMore(fields);
  return HASHES[oid];
}

function attributesOf(set) {
  const found = new Map();
  for (const attribute of setOf(set)) {
    const [oid, values] = takeAll(attribute, 0x06, 0x31);
    const all = children(values);
    if (all.length === 1) found.set(oidOf(oid), all[0]);
  }
  return found;
}

function parseInfo(bytes) {
  const fields = children(only(bytes, 0x30));
  take(fields, 0x02);
  take(fields, 0x06);
  const [algorithm, hashed] = children(take(fields, 0x30));
  take(fields, 0x02);
  const time = moment(take(fields, 0x18));
  return { hash: hashOf(algorithm), hashed: hashed.content, time, margin: marginOf(takeIf(fields, 0x30)) };
}

/** Accuracy: by how many ms the authority may be wrong. */
function marginOf(accuracy) {
  const fields = accuracy ? children(accuracy) : [];
  const [seconds, millis, micros] = [0x02, 0x80, 0x81].map((tag) => {
    const found = takeIf(fields, tag);
    return found ? numberOf(found) : 0;
  });
  return 1000 * seconds + millis + micros / 1000;
}

/** The certificate of the one signer, whose signature covers the content; throws otherwise. */
async function signerOf({ content, certificates, hashes, signers }) {
  if (signers.length !== 1) throw new Error("it does not have exactly one signer");
  const [{ issuer, serial, hash, attributes, told, signature }] = signers;
  const isSigner = (each) =>
    sameBytes(each.issuer.whole, issuer.whole) && sameBytes(each.serial, serial.content);
  const signer = certificates.find(isSigner);
  if (signer === undefined) throw new Error("it does not carry its signer's certificate");
  if (hash === undefined || !hashes.includes(hash) || hashes.includes(undefined)) {
    throw new Error("it was hashed in a way that this page does not know");
  }
  const digest = new Uint8Array(await crypto.subtle.digest(hash, content));
  const [kind, hashed] = [told.get(CONTENT_TYPE), told.get(MESSAGE_DIGEST)];
  if (!kind || oidOf(kind) !== TST_INFO || !hashed || !sameBytes(hashed.content, digest)) {
    throw new Error("its signature is over something else");
  }
  const signed = attributes.whole.slice();
  signed[0] = 0x31; // signed as a SET, whatever tag it travels under (RFC 5652, 5.4)
  if (!(await isSigned(signer.key, { key: signer.key.kind, hash }, signature, signed))) {
    throw new Error("its signature does not fit");
  }
  return signer;
}

/** RFC 3161, 2.3: made for nothing but time-stamps, and it says so critically. */
function requirePurpose(certificate) {
  const found = certificate.extensions.get(EXTENDED_KEY_USAGE);
  const purposes = found ? children(only(found.value, 0x30)).map(oidOf) : [];
  if (!found?.isCritical || purposes.length !== 1 || purposes[0] !== TIME_STAMPING) {
    throw new Error("its certificate is not for time-stamps alone");
  }
  const usage = usageOf(certificate);
  if (usage !== null && (usage & ~0xc0 || !(usage & 0xc0))) {
    throw new Error("its certificate is for another use");
  }
}

/** Key usage as a byte, the first purpose its highest bit; null: for any. */
function usageOf({ extensions }) {
  const found = extensions.get(KEY_USAGE);
  if (!found) return null;
  const [, first = 0, second = 0] = only(found.value, 0x03).content;
  return second ? first | 0x01 : first;
}

/** True when a path leads from the certificate to a root, all of it valid at that time (ms). */
async function reachesRoot(certificate, pool, roots, at, below = 0) {
  if (!wasValid(certificate, at) || below > MAX_CHAIN || hasUnknown(certificate)) return false;
  if (isSelfIssued(certificate)) {
    return roots.some((root) => sameBytes(root.der, certificate.der));
  }
  for (const issuer of [...roots, ...pool]) {
    const isAbove = mayIssue(issuer, below) && (await isIssued(certificate, issuer, true));
    if (isAbove && (await reachesRoot(issuer, pool, roots, at, below + 1))) return true;
  }
  return false;
}

function mayIssue(issuer, below) {
  const usage = usageOf(issuer);
  return constraintsOf(issuer).pathLength >= below && (usage === null || (usage & 0x04) !== 0);
}

/** What is marked critical must be understood (RFC 5280, 4.2). */
function hasUnknown({ extensions }) {
  return Array.from(extensions).some(([oid, each]) => each.isCritical && !UNDERSTOOD.includes(oid));
}
