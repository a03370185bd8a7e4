// Several bundles: is one missing, or out of its place? In the words of the command line.
"use strict";

const TOMBSTONE_TYPE = "application/vnd.edge-agent.tombstone+json";
const MAX_MANIFEST = 2 ** 22;

/** A bundle's place, as its first file says: {name, sha256, manifest, chain}; throws for none. */
async function entryOf(name, bytes) {
  if (!beginsWith(bytes, 0, "PK\x03\x04")) throw new Error("is not an evidence bundle");
  const first = memberAt(bytes, 0);
  if (first.name !== MANIFEST || first.data === null || first.data.length > MAX_MANIFEST) {
    throw new Error("does not begin with a manifest");
  }
  const manifest = readManifest(first.data);
  let pem = new Uint8Array();
  try {
    pem = unpack(bytes).find((member) => member.name === CERTIFICATES)?.data ?? pem;
  } catch {
    // its place is known all the same
  }
  const { chain, supersedes, device } = manifest;
  return { name, sha256: hex(await sha256(first.data)), chain, supersedes, device, pem };
}

/** What a tombstone says of a deleted bundle, and its envelope; throws for what is none. */
function parseTombstone(bytes) {
  const envelope = parseEnvelope(bytes);
  if (envelope.payloadType !== TOMBSTONE_TYPE) throw new Error("is no tombstone");
  const said = parseCanonical(envelope.payload);
  const flaw = violation(TOMBSTONE_SCHEMA, said);
  if (flaw !== null) throw new Error(`is not a tombstone: ${flaw}`);
  return { ...said, envelope };
}

/**
 * Whether bundles follow each other without a gap: {findings: [{code, file, text}], chains: name ->
 * how many, deleted: name -> how many}. `graves`: [{name, bytes}], the tombstones beside them.
 */
async function orderOf(entries, graves) {
  const [findings, chains, deleted] = [[], {}, {}];
  const origins = Array.from(new Set(entries.map(({ chain }) => chain.origin))).sort();
  for (const origin of origins) {
    const together = entries.filter(({ chain }) => chain.origin === origin);
    const parts = bySigner(together);
    const buried = await buriedIn(origin, graves, parts);
    findings.push(...buried.flaws, ...consistent(together, buried.found, parts));
    chains[origin] = together.length;
    if (buried.found.length > 0) deleted[origin] = buried.found.length;
  }
  return { findings, chains, deleted };
}

function bySigner(entries) {
  const parts = new Map();
  for (const entry of entries) {
    const { fingerprint } = entry.device;
    parts.set(fingerprint, [...(parts.get(fingerprint) ?? []), entry]);
  }
  return parts;
}

/** The tombstones of one chain that its device signed, and what is wrong with others. */
async function buriedIn(origin, graves, parts) {
  const signers = [];
  for (const [entry] of parts.values()) {
    const chain = await readChain(entry.pem).catch(() => null);
    if (chain !== null) signers.push(chain);
  }
  const [found, flaws] = [[], []];
  for (const { name, bytes } of graves) {
    let grave;
    try {
      grave = parseTombstone(bytes);
    } catch (error) {
      flaws.push({ code: "unreadable", file: "", text: `${name}: ${error.message}` });
      continue;
    }
    if (grave.chain.origin !== origin) continue;
    if (await isSignedByOne(grave.envelope, signers)) found.push(grave);
    else flaws.push({ code: "signature", file: name, text: "is not signed by the device" });
  }
  return { found, flaws };
}

async function isSignedByOne({ payload, signature, keyId }, signers) {
  for (const chain of signers.filter(({ fingerprint }) => fingerprint === keyId)) {
    if (await covers(chain, pae(TOMBSTONE_TYPE, payload), signature)) return true;
  }
  return false;
}

/** A device whose key was replaced goes on with its chain; what does not fit stands for itself. */
function consistent(entries, graves, parts) {
  const together = Array.from(chainFindings(entries, graves));
  const apart = Array.from(parts).sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([signer, theirs]) => {
    const own = graves.filter(({ device }) => device.fingerprint === signer);
    return Array.from(chainFindings(theirs, own));
  });
  return together.length <= apart.length ? together : apart;
}

function* chainFindings(given, graves) {
  const byPlace = (a, b) => a.chain.index - b.chain.index || (a.name < b.name ? -1 : 1);
  const entries = [...given].sort(byPlace);
  const hashes = new Map(graves.map((grave) => [grave.chain.index, grave.manifest_sha256]));
  const setDefault = (index, sum) => {
    if (!hashes.has(index)) hashes.set(index, sum);
    return hashes.get(index);
  };
  for (const { supersedes } of [...entries, ...graves]) {
    if (supersedes) setDefault(supersedes.index, supersedes.manifest_sha256);
  }
  for (const { name, sha256: sum, chain } of entries) {
    if (setDefault(chain.index, sum) !== sum) {
      const text = `another bundle has its place, number ${chain.index}: the chain forks`;
      yield { code: "chain", file: name, text };
    }
  }
  yield* gaps(entries, [...hashes.keys()].sort((a, b) => a - b));
  for (const { name, chain } of entries) {
    const previous = hashes.get(chain.index - 1);
    if (previous !== undefined && chain.previous !== previous) {
      const text = `does not follow number ${chain.index - 1}: replaced or reordered`;
      yield { code: "chain", file: name, text };
    }
  }
}

function* gaps(entries, places) {
  let before = -1;
  for (const place of places) {
    const [first, last] = [before + 1, place - 1];
    before = place;
    if (first > last) continue;
    const which = first === last ? `number ${first} is` : `numbers ${first} to ${last} are`;
    const next = entries.find(({ chain }) => chain.index > last) ?? entries.at(-1);
    yield { code: "chain", file: next.name, text: `the chain has a gap: ${which} missing before it` };
  }
}
