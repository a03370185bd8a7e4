// DSSE v1 envelopes: what is signed is exactly what is carried, together with its type.
"use strict";

const PAYLOAD_TYPE = "application/vnd.edge-agent.manifest+json";

/** Parse an envelope with one signature; throws for anything that is not in its one form. */
function parseEnvelope(bytes) {
  let found;
  try {
    found = JSON.parse(textOf(bytes));
  } catch {
    throw new Error("is not a DSSE envelope with one signature");
  }
  if (!isEnvelope(found)) throw new Error("is not a DSSE envelope with one signature");
  const [{ keyid, sig }] = found.signatures;
  let payload, signature;
  try {
    payload = fromBase64(found.payload);
    signature = fromBase64(sig);
  } catch {
    throw new Error("holds a payload or signature that is not base64");
  }
  if (!sameBytes(utf8.encode(canonical(found)), bytes)) throw new Error("is not in canonical form");
  return { payload, signature, keyId: keyid, payloadType: found.payloadType };
}

function isEnvelope(value) {
  const hasKeys = (object, keys) =>
    object !== null &&
    typeof object === "object" &&
    Object.keys(object).sort().join() === keys &&
    Object.values(object).every((item) => typeof item === "string" || Array.isArray(item));
  return (
    hasKeys(value, "payload,payloadType,signatures") &&
    typeof value.payload === "string" &&
    typeof value.payloadType === "string" &&
    Array.isArray(value.signatures) &&
    value.signatures.length === 1 &&
    hasKeys(value.signatures[0], "keyid,sig") &&
    Object.values(value.signatures[0]).every((item) => typeof item === "string")
  );
}

/** Pre-authentication encoding: type and payload, each preceded by its length in bytes. */
function pae(type, payload) {
  const kind = utf8.encode(type);
  const head = utf8.encode(`DSSEv1 ${kind.length} ${type} ${payload.length} `);
  return joined([head, payload]);
}
