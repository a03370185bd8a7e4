// A device's old key names its new one, so that whoever trusts the old one can go on.
"use strict";

const SUCCESSOR_TYPE = "application/vnd.edge-agent.key-successor+json";

/** The roots, and every certificate that the statements name as their successor, in turn. */
async function withSuccessors(roots, statements, lists) {
  const trusted = [...roots];
  for (const statement of statements) trusted.push(...(await successorsOf(trusted, statement, lists)));
  return trusted;
}

async function successorsOf(trusted, statement, lists) {
  const { envelope, said, certificates } = await parseStatement(statement);
  const next = await chainOf(certificates);
  for (const certificate of trusted) {
    const old = await chainOf([certificate]).catch(() => null); // a CA with another kind of key
    const signed = pae(SUCCESSOR_TYPE, envelope.payload);
    if (old === null || !(await covers(old, signed, envelope.signature))) continue;
    if (said.device !== old.name || old.name !== next.name) {
      throw new Error(`names ${next.name}, but was signed by ${old.name}`);
    }
    const { flaws } = await standingOf(old, [], lists, null);
    if (flaws.length > 0) throw new Error(`${flaws[0]}; ask for the new certificate another way`);
    return certificates;
  }
  throw new Error(
    "was not signed by a trusted device: choose its old certificate as well, and several " +
      "statements in the order in which they were made",
  );
}

async function parseStatement(bytes) {
  try {
    const envelope = parseEnvelope(bytes);
    const said = JSON.parse(textOf(envelope.payload));
    const isOne = Object.keys(said).sort().join() === "device,successor,when";
    if (!isOne || envelope.payloadType !== SUCCESSOR_TYPE) throw new Error("is something else");
    return { envelope, said, certificates: parsePem(utf8.encode(said.successor)) };
  } catch {
    throw new Error("is not a statement about a device's next key");
  }
}
