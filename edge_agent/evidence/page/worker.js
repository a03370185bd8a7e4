// One bundle after the other, beside the page: whatever is in one, the page goes on and can give up.
"use strict";

onmessage = async ({ data: { file, trusted } }) => {
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const entry = await entryOf(file.name, bytes).catch((error) => ({ why: error.message }));
    const sum = hex(await sha256(bytes));
    postMessage({ ...(await verifyBundle(bytes, trusted)), sha256: sum, entry });
  } catch (error) {
    postMessage({ ...NOTHING_KNOWN, verdict: "unchecked", findings: [], why: String(error.message) });
  }
};
