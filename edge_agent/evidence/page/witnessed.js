// What witnesses say of a bundle: not earlier than one cosignature, not later than another
// (c2sp.org/tlog-cosignature).
"use strict";

const LAST_SECOND = 253402300799n; // of the year 9999

/**
 * When a bundle was made, by the word of these witnesses: {notBefore, notAfter} in ms or null, and
 * what is wrong with the cosignatures or with the times that they prove, as [code, file, text].
 */
async function bracketOf(manifest, proof, witnesses) {
  const bracket = { notBefore: null, notAfter: null, flaws: [] };
  const say = (...flaw) => bracket.flaws.push(flaw);
  if (manifest.log === null) {
    say("witness", "", "is in no log, so that no witness can have seen it");
    return bracket;
  }
  bracket.notAfter = await seenLater(proof, witnesses, say);
  bracket.notBefore = await seenEarlier(manifest.log, witnesses, say);
  if (manifest.source.kind === "replay") return bracket; // a replay shows the past
  const shown = manifest.case.latest.utc;
  const [at, { notBefore, notAfter }] = [Date.parse(shown), bracket];
  if (notAfter !== null && notAfter + SLACK_MS < at) {
    say("time", PROOF, `a witness saw it at ${utcText(notAfter)}, before what it shows: ${shown}`);
  }
  if (notBefore !== null && at + SLACK_MS < notBefore) {
    say("time", MANIFEST, `knows of ${utcText(notBefore)}, later than what it shows: ${shown}`);
  }
  return bracket;
}

/** When the first of them had seen the checkpoint of the bundle's own proof. */
async function seenLater(proof, witnesses, say) {
  let note;
  try {
    ({ note } = parseProof(proof));
  } catch {
    return null; // said already
  }
  const times = [];
  for (const key of witnesses) {
    try {
      const signature = await signedBy(note, key);
      if (signature !== null) times.push(seenAt(signature));
    } catch (error) {
      say("witness", PROOF, printable(error.message));
    }
  }
  if (times.length > 0) return Math.min(...times);
  say("witness", PROOF, "no witness that is trusted has cosigned its checkpoint");
  return null;
}

/** When a witness had seen the older checkpoint that the manifest knows of. */
async function seenEarlier({ origin, index, after }, witnesses, say) {
  if (!after) return null;
  try {
    const text = `${origin}\n${after.size}\n${base64(fromHex(after.root))}\n`;
    const raw = nonEmpty(after.signature);
    const [keyId, data] = [raw.subarray(0, 4), raw.subarray(4)];
    const note = { text, signatures: [{ name: after.witness, keyId, data }] };
    for (const key of witnesses) {
      const signature = await signedBy(note, key);
      if (signature === null) continue;
      const at = seenAt(signature);
      if (utcText(at) !== after.utc || after.size > index) {
        say("witness", MANIFEST, "log.after is not what the witness signed");
      }
      return at;
    }
  } catch (error) {
    say("witness", MANIFEST, `log.after: ${printable(error.message)}`);
  }
  return null; // by a witness whom nobody asks
}

/** The time in a cosignature, in ms. */
function seenAt({ data }) {
  const seconds = secondsOf(data);
  if (seconds > LAST_SECOND) throw new Error("a cosignature's time is out of all range");
  return Number(seconds) * 1000;
}
