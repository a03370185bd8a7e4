// Certificates taken back: revocation lists (X.509 CRL, RFC 5280 section 5).
"use strict";

const [CRL_REASON, INVALIDITY_DATE] = ["2.5.29.21", "2.5.29.24"];
const REASONS = {
  0: "unspecified",
  1: "key compromise",
  2: "c a compromise",
  3: "affiliation changed",
  4: "superseded",
  5: "cessation of operation",
  6: "certificate hold",
  8: "remove from c r l",
  9: "privilege withdrawn",
  10: "a a compromise",
};

/** Lists of a file, PEM (any number) or one in DER; throws for what is none. */
function parseLists(bytes) {
  try {
    const blocks = pemBlocks(bytes, "X509 CRL");
    return (blocks.length > 0 ? blocks : [bytes]).map(parseList);
  } catch {
    throw new Error("is no certificate revocation list; choose one in PEM or DER form");
  }
}

function parseList(der) {
  const [tbs, algorithm, signature] = takeAll(only(der, 0x30), 0x30, 0x30, 0x03);
  const fields = children(tbs);
  const version = takeIf(fields, 0x02);
  if (version && numberOf(version) !== 1) throw new Error("is of another version");
  const inner = take(fields, 0x30);
  const issuer = nameOf(take(fields, 0x30));
  while (fields[0]?.tag === 0x17 || fields[0]?.tag === 0x18) moment(fields.shift());
  return {
    tbs: tbs.whole,
    algorithm: sameBytes(inner.whole, algorithm.whole) ? algorithmOf(algorithm) : undefined,
    signature: bitsOf(signature),
    issuer,
    entries: takeIf(fields, 0x30)?.content ?? new Uint8Array(),
  };
}

/**
 * What the lists say against a chain, and whether one is by whoever issued the device's
 * certificate: {flaws, isCovered}. `roots`: that it may lead to; `seen`: when the evidence was
 * there at the latest, by the word of somebody who is trusted (ms), or null.
 */
async function standingOf(chain, roots, lists, seen) {
  const flaws = [];
  const known = [...chain.certificates, ...roots];
  for (const certificate of chain.certificates) {
    for (const list of await covering(certificate, known, lists)) {
      const found = revocation(certificate, list);
      if (found !== null && (seen === null || seen >= found.since)) {
        const what = `the certificate of ${certificate.subject.text} was revoked as of `;
        const when = utcText(found.since) + (found.reason && ` (${found.reason})`);
        flaws.push(`${what}${when}, and nothing proves that this was there before`);
      }
    }
  }
  const device = chain.certificates[0];
  const isCovered = (await covering(device, known, lists)).length > 0;
  if (!isSelfIssued(device) && !isCovered) {
    flaws.push("cannot be checked: none of the given lists is by the issuer of its certificate");
  }
  return { flaws, isCovered };
}

/** The lists by whoever issued the certificate. */
async function covering(certificate, known, lists) {
  const { issuer } = certificate;
  const keepers = known.filter(({ subject }) => sameBytes(subject.whole, issuer.whole));
  const found = [];
  for (const list of lists.filter((each) => sameBytes(each.issuer.whole, issuer.whole))) {
    for (const { key } of keepers) {
      if (await isSigned(key, list.algorithm, list.signature, list.tbs)) {
        found.push(list);
        break;
      }
    }
  }
  return found;
}

/** Since when a list revokes the certificate, and why: {since, reason}; null: it does not. */
function revocation({ serial }, { entries }) {
  for (let at = 0; at < entries.length; ) {
    const entry = element(entries, at);
    at = entry.end;
    const fields = children(entry);
    if (sameBytes(take(fields, 0x02).content, serial)) return aboutEntry(fields);
  }
  return null;
}

function aboutEntry([date, extensions]) {
  const about = { since: moment(date), reason: "" };
  try {
    const found = extensionsOf(extensions);
    const [why, earlier] = [found.get(CRL_REASON), found.get(INVALIDITY_DATE)];
    const said = {
      since: earlier ? Math.min(about.since, moment(only(earlier.value, 0x18))) : about.since,
      reason: why ? REASONS[numberOf(only(why.value, 0x0a))] ?? "" : "",
    };
    return said;
  } catch {
    return about; // an entry that cannot be read whole still revokes
  }
}
