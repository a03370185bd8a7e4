// Verification of one bundle, in the order and with the words of `edge-agent evidence verify`.
"use strict";

const [MANIFEST, SEAL, CERTIFICATES] = ["manifest.json", "manifest.dsse", "chain.pem"];

/** Whom a verifier believes, and what profile it asks for, when nothing was chosen. */
const NOBODY = { roots: null, lists: [], stampers: null, witnesses: [], profile: null };

/**
 * Check the bytes of a bundle; `trusted` as NOBODY, roots and stampers being parsed certificates.
 * Returns {verdict, code, findings: [{code, file, text}], manifest, manifestSha256, isPinned,
 * stamp, bracket, standing, verdicts, places: name -> [first byte, end]}; never throws for what the
 * bundle contains.
 */
async function verifyBundle(bytes, trusted = NOBODY) {
  let members;
  try {
    members = unpack(bytes);
  } catch (error) {
    if (!(error instanceof ContainerError)) throw error;
    return refused(error.isBundle ? "container" : "unreadable", error.member, error.message);
  }
  const inspection = new Inspection(bytes, members, { ...NOBODY, ...trusted });
  await inspection.run();
  const { findings, manifest, text, isPinned, stamp, bracket, standing } = inspection;
  const { profile } = inspection.trusted;
  const contents = members.filter(({ data }) => data !== null);
  return report(findings, {
    manifest,
    manifestSha256: manifest ? hex(await sha256(text)) : null,
    isPinned,
    stamp,
    bracket,
    standing,
    verdicts: manifest && profile ? judge(profile, manifest) : [],
    places: Object.fromEntries(contents.map(({ name, data, end }) => [name, [end - data.length, end]])),
  });
}

/** The report on what is no bundle, or cannot be opened. */
function refused(code, file, text) {
  return report([{ code, file, text }], {});
}

const NOTHING_KNOWN = {
  manifest: null,
  manifestSha256: null,
  isPinned: false,
  stamp: null,
  bracket: null,
  standing: null,
  verdicts: [],
  places: {},
};

function report(findings, about) {
  const known = { ...NOTHING_KNOWN, ...about };
  const verdict = findings.length ? "invalid" : known.isPinned ? "valid" : "intact";
  const isMissed = known.verdicts.some(({ outcome }) => outcome === "missed");
  const first = findings[0]?.code ?? (isMissed ? "profile" : null);
  return { verdict, code: first === null ? 0 : EXIT_CODES[first], findings, ...known };
}

class Inspection {
  constructor(bytes, members, trusted) {
    Object.assign(this, { bytes, members, trusted, findings: [], manifest: null, isPinned: false });
    Object.assign(this, { chain: null, stamp: null, bracket: null, standing: null });
    this.byName = new Map(members.map((member) => [member.name, member]));
  }

  read(name) {
    return this.byName.get(name)?.data ?? new Uint8Array();
  }

  say(code, file, text) {
    this.findings.push({ code, file, text });
  }

  async run() {
    for (const member of this.members) {
      if (member.data === null) {
        this.say("container", member.name, "is compressed: the bundle was repacked");
      }
    }
    await this.checkSeal();
    if (this.manifest === null) return;
    await this.checkFiles();
    const proof = this.byName.has(PROOF) ? this.read(PROOF) : null;
    for (const flaw of await logFlaws(this.manifest, this.text, proof, this.read(DEVICE))) {
      this.say(...flaw);
    }
    await this.checkTime();
    for (const text of await contradictions(this.manifest)) {
      this.say("inconsistent", MANIFEST, text);
    }
    for (const text of brokenClaims(this.manifest, this.read(ATTACHED))) {
      this.say("profile", MANIFEST, text);
    }
    await this.checkStanding();
    this.checkForm();
  }

  /** When it was made and when it was signed, by the word of those who are believed. */
  async checkTime() {
    const { witnesses, stampers } = this.trusted;
    if (witnesses.length > 0) {
      this.bracket = await bracketOf(this.manifest, this.read(PROOF), witnesses);
      this.bracket.flaws.forEach((flaw) => this.say(...flaw));
    }
    if (stampers !== null && this.byName.has(TOKEN)) {
      const [token, seal] = [this.read(TOKEN), this.read(SEAL)];
      const judged = await judgeStamp(token, seal, this.manifest, stampers);
      this.stamp = judged.stamp;
      judged.flaws.forEach((text) => this.say("timestamp", TOKEN, text));
    }
  }

  /** Whether the signer's certificate was taken back before anybody had seen the bundle. */
  async checkStanding() {
    const { lists, roots } = this.trusted;
    if (this.chain === null || lists.length === 0) return;
    const seen = [this.stamp?.latest, this.bracket?.notAfter].filter((at) => at != null);
    const first = seen.length > 0 ? Math.min(...seen) : null;
    this.standing = await standingOf(this.chain, roots ?? [], lists, first);
    this.standing.flaws.forEach((text) => this.say("revoked", CERTIFICATES, text));
  }

  /** Certificate, signature, and that the manifest is the one that was signed. */
  async checkSeal() {
    const absent = [MANIFEST, SEAL, CERTIFICATES].filter((name) => !this.byName.has(name));
    absent.forEach((name) => this.say("missing", name, "is missing"));
    const written = this.read(MANIFEST);
    let [envelope, chain, flaw] = [null, null, null];
    if (!absent.includes(SEAL)) {
      try {
        envelope = parseEnvelope(this.read(SEAL));
      } catch (error) {
        flaw = error.message;
      }
    }
    if (!absent.includes(CERTIFICATES)) {
      try {
        chain = await readChain(this.read(CERTIFICATES));
      } catch (error) {
        this.say("certificate", CERTIFICATES, error.message);
      }
    }
    const texts = envelope === null ? [written] : [envelope.payload, written];
    const signed = await signedText(envelope, texts, chain);
    this.text = signed ?? texts[0];
    const unreadable = this.parse();
    if (chain !== null && this.manifest !== null) await this.checkCertificate(chain);
    if (envelope !== null && chain !== null && signed !== envelope.payload) {
      flaw = "the signature does not fit what it claims to sign";
    }
    if (flaw !== null) this.say("signature", SEAL, flaw);
    if (unreadable !== null) this.say("inconsistent", MANIFEST, unreadable);
    if (!absent.includes(MANIFEST) && !sameBytes(written, this.text)) {
      this.say("altered", MANIFEST, "is not what was signed: it was altered");
    }
  }

  parse() {
    try {
      this.manifest = readManifest(this.text);
      return null;
    } catch (error) {
      return error.message;
    }
  }

  async checkCertificate(chain) {
    this.chain = chain;
    const { device, source } = this.manifest;
    const say = (text) => this.say("certificate", CERTIFICATES, text);
    if (chain.fingerprint !== device.fingerprint) say("is not the one the manifest names");
    if (chain.name !== device.id) say(`is for ${chain.name || "nobody"}, not for ${device.id}`);
    const when = source.kind === "live" ? this.manifest.case.begin.utc : null;
    (await chainFlaws(chain, when)).forEach(say);
    if (this.trusted.roots === null) return;
    this.isPinned = await leadsTo(chain, this.trusted.roots);
    if (!this.isPinned) say("does not lead to the given root: made by somebody else");
  }

  /** Every listed file is there with its hash, and nothing else is. */
  async checkFiles() {
    const files = filesOf(this.manifest);
    const listed = new Map(files.map((item) => [item.path, item]));
    const owners = new Map([...files].reverse().map((item) => [item.sha256, item.path]));
    const missing = [];
    for (const [path, item] of listed) {
      const member = this.byName.get(path);
      if (member === undefined) {
        missing.push(path);
      } else if (member.data !== null) {
        const found = hex(await sha256(member.data));
        if (owners.has(found) && found !== item.sha256) {
          this.say("altered", path, `holds the bytes of ${owners.get(found)}`);
        } else if (found !== item.sha256 || member.data.length !== item.bytes) {
          this.say("altered", path, "was altered: its hash is another");
        }
      }
    }
    for (const path of missing) {
      if (path !== CERTIFICATES) this.say("missing", path, "is missing");
    }
    const unlisted = [MANIFEST, SEAL, TOKEN, ...(this.manifest.log === null ? [] : [PROOF])];
    for (const { name } of this.members) {
      if (!listed.has(name) && !unlisted.includes(name)) {
        this.say("extra", name, "does not belong to the bundle: it was added");
      }
    }
  }

  /** Packing the files again gives the same container; last, as most changes end here as well. */
  checkForm() {
    const order = [MANIFEST, SEAL, ...filesOf(this.manifest).map((item) => item.path)];
    const names = new Set(order.filter((name) => this.byName.has(name)));
    this.members.forEach((member) => names.add(member.name));
    const again = packed(Array.from(names, (name) => ({ name, data: this.read(name) })));
    const at = firstDifference(again, this.bytes);
    if (at === null) return;
    const member = this.members.find(({ start, end }) => start <= at && at < end);
    const where = member ? `the header of ${member.name}` : "the directory at its end";
    const text = `is not in canonical form from byte ${at} on, in ${where}: changed or repacked`;
    this.say("container", member?.name ?? "", text);
  }
}

/** A manifest from its canonical bytes; throws, saying what is wrong, for any others. */
function readManifest(bytes) {
  try {
    const manifest = JSON.parse(textOf(bytes));
    const flaw = violation(SCHEMA, manifest);
    if (flaw !== null) throw new Error(`is not a manifest of ${FORMAT}: ${flaw}`);
    return parseCanonical(bytes);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    throw new Error(`is not a manifest of ${FORMAT}: the whole: ${error.message}`);
  }
}

/** Of the payload and `manifest.json`, the one that the signature covers; null: neither. */
async function signedText(envelope, texts, chain) {
  if (envelope === null || chain === null || envelope.payloadType !== PAYLOAD_TYPE) return null;
  if (envelope.keyId !== chain.fingerprint) return null;
  for (const text of texts) {
    if (await covers(chain, pae(PAYLOAD_TYPE, text), envelope.signature)) return text;
  }
  return null;
}
