// Choosing: the bundles, and whom to believe about them.
"use strict";

/** What a person chose: files, one list for each place that takes some, words, and a profile. */
const chosen = { bundles: [], root: [], lists: [], stampers: [], keys: "", profile: "" };
let round = 0;

/** Check everything anew; a newer choice makes an older round end. */
async function show() {
  const mine = ++round;
  const place = document.getElementById("reports");
  place.ariaBusy = "true";
  complain("");
  stopWorker();
  forgetPictures();
  place.replaceChildren();
  const trusted = await believed();
  const isTombstone = (file) => file.name.endsWith(".dsse");
  const bundles = chosen.bundles.filter((file) => !isTombstone(file));
  const results = [];
  for (const file of trusted === null ? [] : bundles) {
    if (mine !== round) return;
    const waiting = make("p", `Checking ${file.name} …`, { className: "waiting" });
    place.append(waiting);
    const result = await check(file, trusted);
    waiting.replaceWith(article(file, result, trusted));
    results.push({ ...result, name: file.name });
  }
  if (results.length > 1) place.append(await order(results, chosen.bundles.filter(isTombstone)));
  if (mine === round) place.ariaBusy = "false";
}

/** The report on the order of several bundles, some of them perhaps deleted by rule. */
async function order(results, tombstones) {
  const graves = [];
  for (const file of tombstones) {
    graves.push({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) });
  }
  const isKnown = ({ entry }) => entry !== undefined && entry.why === undefined;
  const found = await orderOf(results.filter(isKnown).map(({ entry }) => entry), graves);
  const unread = results.filter((result) => !isKnown(result)).map(({ name, entry, why }) => ({
    code: "unreadable",
    file: name,
    text: `cannot be read: ${entry?.why ?? why}`,
  }));
  return orderArticle({ ...found, findings: [...unread, ...found.findings] });
}

/** Whom the verifier believes, as NOBODY, and their names; null where a choice is no good. */
async function believed() {
  try {
    const witnesses = await keysOf(chosen.keys);
    const lists = (await readAll(chosen.lists, parseLists)).flat();
    const stampers = (await readAll(chosen.stampers, parsePem)).flat();
    const roots = await rootsOf(chosen.root, lists);
    const profile = PROFILES[chosen.profile] ?? null;
    const names = {
      roots: (await Promise.all((roots ?? []).map(certificateText))).join("; "),
      witnesses: witnesses.map(({ name }) => name).join("; "),
      stampers: (await Promise.all(stampers.map(certificateText))).join("; "),
      lists: lists.map(({ issuer }) => issuer.text).join("; "),
    };
    tell("root", names.roots && `trusting ${names.roots}`);
    tell("stampers", names.stampers && `trusting ${names.stampers}`);
    tell("lists", names.lists && `lists by ${names.lists}`);
    return { roots, lists, stampers: stampers.length > 0 ? stampers : null, witnesses, profile, names };
  } catch (error) {
    complain(`${error.message}. Nothing is checked until that is mended.`);
    return null;
  }
}

/** The certificates, and those that statements of theirs name as their successors. */
async function rootsOf(files, lists) {
  const isStatement = (file) => file.name.endsWith(".dsse");
  const roots = (await readAll(files.filter((file) => !isStatement(file)), parsePem)).flat();
  const statements = files.filter(isStatement);
  if (statements.length > 0 && roots.length === 0) {
    throw new Error(`${statements[0].name}: names the next key of a certificate: choose that as well`);
  }
  let trusted = roots;
  for (const file of statements) {
    const follow = (bytes) => withSuccessors(trusted, [bytes], lists);
    [trusted] = await readAll([file], follow);
  }
  return trusted.length > 0 ? trusted : null;
}

async function readAll(files, parse) {
  const found = [];
  for (const file of files) {
    try {
      found.push(await parse(new Uint8Array(await file.arrayBuffer())));
    } catch (error) {
      throw new Error(`${file.name}: ${error.message}`);
    }
  }
  return found;
}

/** Witnesses' keys from a text, one a line. */
async function keysOf(text) {
  const keys = [];
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const key = await parseVkey(line).catch((error) => {
      throw new Error(`The witness's key ${line}: ${error.message}`);
    });
    if (key.algorithm !== COSIGNATURE) {
      throw new Error(`${key.name}: is the key of a log, not of a witness`);
    }
    keys.push(key);
  }
  return keys;
}

async function certificateText({ subject, der }) {
  return `${subject.text} (SHA-256 ${hex(await sha256(der))})`;
}

/** Say beside a place what was chosen there; the hint comes back when nothing is. */
function tell(place, text) {
  const label = document.getElementById(`${place}-name`);
  label.dataset.hint ??= label.textContent;
  label.textContent = text || label.dataset.hint;
}

function complain(text) {
  const place = document.getElementById("trouble");
  place.textContent = text;
  place.hidden = text === "";
}

/** Let a place take files by choosing and by dropping. */
function takeFiles(place, use) {
  const [input, area] = [document.getElementById(place), document.getElementById(`${place}-drop`)];
  input.addEventListener("change", () => use(Array.from(input.files)));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    area.addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) use(Array.from(event.dataTransfer.files));
    });
  }
}

/** A file that misses its place must not take that of the page. */
function keepPage() {
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => event.preventDefault());
  }
}

function listen() {
  for (const place of ["bundles", "root", "lists", "stampers"]) {
    takeFiles(place, (files) => {
      chosen[place] = files;
      show();
    });
  }
  const keys = document.getElementById("keys");
  keys.addEventListener("change", () => {
    chosen.keys = keys.value;
    show();
  });
  takeFiles("keys-file", async (files) => {
    keys.value = (await Promise.all(files.map((file) => file.text()))).join("\n");
    keys.dispatchEvent(new Event("change"));
  });
  const profile = document.getElementById("profile");
  profile.append(...Object.values(PROFILES).map(({ name: value, title }) => new Option(`${value}: ${title}`, value)));
  profile.addEventListener("change", () => {
    chosen.profile = profile.value;
    show();
  });
  keepPage();
}

/** Half of the checks would be worse than none: what a browser lacks is said before all else. */
async function begin() {
  if (!globalThis.crypto?.subtle) {
    complain("This browser offers no cryptography to this page: open it as a file, or over https.");
  } else if (!(await hasEd25519())) {
    complain(
      "This browser is too old to check a device's log and its witnesses: it lacks Ed25519 " +
        "signatures. Open this page in Chrome or Edge 137, Firefox 130, Safari 17, or a later one.",
    );
  } else {
    listen();
  }
}

begin();
