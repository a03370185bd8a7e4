// What a person reads about one bundle: a verdict in words, the checks, the case and its pictures.
"use strict";

const CHECKS = [
  ["The file is whole and in its one form", ["unreadable", "container"]],
  ["The certificate fits the device and the time", ["certificate"]],
  ["The signature covers the manifest", ["signature"]],
  ["Every file is there, unaltered, and none was added", ["altered", "missing", "extra"]],
  ["It is an entry of the device's signed log", ["leaf", "inclusion", "checkpoint"]],
  ["What the manifest says can be true together", ["inconsistent"]],
  ["It meets the profile that it claims, if any", ["profile"]],
  ["A witness whom you trust saw it, at a time that fits", ["witness", "time"], "witnesses"],
  ["Its time-stamp is by an authority that you trust", ["timestamp"], "stampers"],
  ["The certificate was not taken back", ["revoked"], "lists"],
];
const UNASKED = {
  witnesses: "not checked: no witness was chosen (3.)",
  stampers: "not checked: no time-stamping authority was chosen (3.)",
  lists: "not checked: no revocation list was chosen (3.)",
};
const SAID = {
  valid: ["VALID", "Nothing was altered since it was signed, and the signer is one that you trust."],
  intact: [
    "INTACT, SIGNER NOT PROVEN",
    "Nothing was altered since it was signed. Who signed is a claim: anybody can sign with a key of " +
      "their own. Choose a certificate that you trust (2.) to have it proven.",
  ],
  invalid: ["INVALID", "This is not what was signed, or not to be believed. It proves nothing."],
  unchecked: ["NOT CHECKED", "This browser came to no verdict. Nothing is known of this file."],
};

let urls = [];

function make(tag, content = [], attributes = {}) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...[content].flat().filter((part) => part !== null));
  return node;
}

/** Pictures of earlier reports are shown no more. */
function forgetPictures() {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
}

/** `trusted`: whom the verifier believed; `file`: the bundle, from which the pictures are read. */
function article(file, result, trusted) {
  const [word, sentence] = SAID[result.verdict];
  const verdict = make("div", [make("h2", file.name), make("strong", word), make("p", sentence)], {
    className: `verdict ${result.verdict}`,
  });
  if (result.why) verdict.append(make("p", `Why: ${result.why}.`));
  if (result.findings.length > 0) verdict.append(make("p", `First of all: ${sentenceOf(result.findings[0])}`));
  if (result.manifest) verdict.append(make("p", worth(result), { className: "worth" }));
  if (misses(result)) {
    const text = `It misses the profile ${trusted.profile.name}, by which you had it measured: see below.`;
    verdict.append(make("p", text, { className: "worth missed" }));
    verdict.classList.add("lacking");
  }
  if (result.verdict === "unchecked") return make("article", verdict, { className: "report" });
  const parts = [make("h3", "Checks"), checks(result, trusted)];
  if (result.verdicts.length > 0) parts.push(...measured(result.verdicts, trusted.profile));
  if (result.manifest) parts.push(...aboutTime(result), ...aboutCase(result, file));
  parts.push(make("h3", "How this was checked"), factTable(circumstances(file, result, trusted)));
  return make("article", [verdict, make("div", parts)], { className: "report" });
}

/** About several bundles together. */
function orderArticle({ findings, chains, deleted }) {
  const isGood = findings.length === 0;
  const rows = Object.entries(chains).map(([name, count]) => {
    const gone = Object.hasOwn(deleted, name) ? `, ${deleted[name]} deleted by rule` : "";
    return make("p", `${name}: ${count} in a row${gone}`);
  });
  const flaws = findings.map((each) => make("p", sentenceOf(each), { className: "missed" }));
  const word = isGood ? "IN ORDER" : "NOT IN ORDER";
  const sentence = isGood
    ? "None is missing between the first and the newest of these; newer ones there may be."
    : "A bundle is missing or out of its place, or these do not belong together.";
  const parts = [make("h2", "Order of the bundles"), make("strong", word), make("p", sentence)];
  const verdict = make("div", [...parts, ...(isGood ? rows : flaws)], {
    className: `verdict ${isGood ? "valid" : "invalid"}`,
  });
  return make("article", verdict, { className: "report" });
}

function misses({ verdicts }) {
  return verdicts.some(({ outcome }) => outcome === "missed");
}

function worth({ manifest, verdict }) {
  if (verdict === "invalid") return "Whatever it says below is not to be relied on.";
  const unlogged = manifest.log === null ? " It is in no log." : "";
  if (!manifest.evidential) return `Not evidence: ${manifest.reasons.join(", ")}.${unlogged}`;
  return (verdict === "valid" ? "It is evidential." : "It claims to be evidential.") + unlogged;
}

function checks({ findings, manifest, places }, trusted) {
  const rows = CHECKS.map(([text, codes, authority]) => {
    const found = findings.filter((finding) => codes.includes(finding.code));
    if (found.length > 0) return checkRow("✗", "missed", text, found.map(sentenceOf));
    if (authority && !trusted[authority]?.length) return checkRow("–", "unsaid", text, UNASKED[authority]);
    if (findings.length > 0 && manifest === null) {
      return checkRow("–", "unsaid", text, "could not be checked");
    }
    if (authority === "stampers" && !places[TOKEN]) return checkRow("–", "unsaid", text, "it has none");
    return checkRow("✓", "met", text, []);
  });
  return make("table", rows, { className: "checks" });
}

function sentenceOf({ file, text, code }) {
  return `${file} ${text} [${code}]`.trim();
}

function checkRow(mark, kind, text, notes) {
  const lines = [notes].flat().map((note) => make("div", note, { className: kind }));
  return make("tr", [make("td", mark, { className: kind }), make("td", [make("div", text), ...lines])]);
}

/** Rule by rule what a profile asks for, and what is found. */
function measured(verdicts, profile) {
  const marks = { met: ["✓", "met"], missed: ["✗", "missed"], "not checkable": ["?", "unsaid"] };
  const rows = verdicts.map(({ rule, outcome, found }) => {
    const [mark, kind] = marks[outcome];
    const source = make("div", `${rule.id} · ${rule.source}`, { className: "unsaid" });
    return checkRow(mark, kind, rule.sentence, [found, source]);
  });
  const missed = verdicts.filter(({ outcome }) => outcome === "missed").length;
  const open = verdicts.filter(({ outcome }) => outcome === "not checkable").length;
  const sum = missed > 0 ? `It misses ${missed} of ${verdicts.length} rules.` : "It meets every rule that can be checked.";
  const look = open > 0 ? ` A person has to look at ${open} (marked ?).` : "";
  return [
    make("h3", `Measured by ${profile.name}: ${profile.title}`),
    make("p", sum + look, { className: missed > 0 ? "missed" : "met" }),
    make("table", rows, { className: "checks" }),
  ];
}

/** What others than the device say of the time and of its key. */
function aboutTime({ bracket, stamp, standing }) {
  const rows = {
    witnesses: bracket && bracketText(bracket),
    "time-stamp": stamp && `the signature was there by ${utcText(stamp.latest)} (${stamp.authority})`,
    "revocation lists": standing && standingText(standing),
  };
  const known = Object.values(rows).some((value) => value !== null);
  return known ? [make("h3", "What others say, not the device"), factTable(rows)] : [];
}

function bracketText({ notBefore, notAfter }) {
  const words = [];
  if (notBefore !== null) words.push(`after ${utcText(notBefore)}`);
  if (notAfter !== null) words.push(`by ${utcText(notAfter)}`);
  return words.length > 0 ? `made ${words.join(" and ")}, as witnessed` : "nobody knows";
}

function standingText({ flaws, isCovered }) {
  if (flaws.length > 0) return flaws.join("; ");
  return isCovered
    ? "say nothing against the certificate"
    : "no list given is by the issuer of its certificate";
}

function aboutCase({ manifest, manifestSha256, places, findings }, file) {
  const altered = findings.filter(({ code }) => code === "altered").map((finding) => finding.file);
  const { case: kase, source, device, site, plate } = manifest;
  const rows = {
    "what happened": `${kase.kind}${kase.zone ? ` in zone ${kase.zone}` : ""}`,
    where: [site.name, source.camera, coordinates(site)].filter(Boolean).join(", "),
    "reported at": `${kase.begin.utc} (frame ${kase.begin.frame})`,
    lasted: `${kase.dwell_s} s`,
    plate: plate ? plate.text ?? `unread: ${plate.reason}` : null,
    complete: kase.is_complete ? "yes" : `no: ${kase.reasons.join(", ")}`,
    pictures: `${source.media_name} (${source.kind === "live" ? "live camera" : "recording"})`,
    device: `${device.id}, certificate ${device.fingerprint}`,
    profile: manifest.profile,
    case: `${kase.id}, revision ${kase.revision}`,
    "SHA-256 of the manifest": manifestSha256,
  };
  return [
    make("h3", "What the bundle says"),
    factTable(rows),
    make("h3", "Pictures, as recorded"),
    make("div", manifest.media.map((item) => figure(item, file, places, altered)), { className: "photos" }),
    make("h3", "Copies for reading, and other files"),
    fileTable([...manifest.derived, ...manifest.attached], file, places, altered),
  ];
}

function coordinates(site) {
  return site.lat === undefined ? null : `${site.lat}, ${site.lon}`;
}

/** So that a print says what was checked, by whose word, when and with what. */
function circumstances(file, { sha256: sum }, { roots, names }) {
  const told = (kind) => names[kind] || null;
  return {
    "checked at": `${new Date().toISOString()}, by this computer's clock`,
    "checked with": document.getElementById("version").textContent,
    "SHA-256 of the file": sum,
    size: `${file.size} bytes`,
    "trusted as signer": roots === null ? "nobody" : told("roots"),
    "trusted as witness": told("witnesses"),
    "trusted for time-stamps": told("stampers"),
    "revocation lists by": told("lists"),
  };
}

function factTable(rows) {
  const known = Object.entries(rows).filter(([, value]) => value !== null && value !== undefined);
  return make("table", known.map(([name, value]) => make("tr", [make("th", name), make("td", value)])));
}

/** An address of a file inside of the bundle, for this page alone. */
function link(item, file, places) {
  if (!Object.hasOwn(places, item.path)) return null;
  const types = { mp4: "video/mp4", jpg: "image/jpeg" };
  const type = types[item.path.split(".").pop()] ?? "text/plain";
  const url = URL.createObjectURL(file.slice(...places[item.path], type));
  urls.push(url);
  return url;
}

/** `altered`: paths of files that are not what was signed, whatever they show. */
function figure(item, file, places, altered) {
  const url = link(item, file, places);
  const time = item.utc ? `${item.utc}, frame ${item.frame}` : `${item.begin_s} s to ${item.end_s} s`;
  const isAltered = altered.includes(item.path);
  const hash = `SHA-256 ${isAltered ? "expected: " : ""}${item.sha256}`;
  const caption = make("figcaption", [
    isAltered ? make("div", warning()) : null,
    make("strong", item.role),
    ` ${time}`,
    make("div", hash, { className: "hash" }),
  ]);
  if (url === null) return make("figure", ["not there", caption]);
  if (item.plain) {
    return make("figure", [make("p", "encrypted: only its owner can open it"), caption]);
  }
  const picture = item.role === "clip"
    ? make("video", [], { src: url, controls: true, preload: "metadata" })
    : make("img", [], { src: url, alt: `${item.role}: ${time}` });
  return make("figure", [picture, caption]);
}

function warning() {
  return make("strong", "ALTERED: not the file that was recorded", { className: "missed" });
}

function fileTable(items, file, places, altered) {
  const rows = items.map((item) => {
    const url = link(item, file, places);
    const name = url ? make("a", item.path, { href: url, download: item.path.split("/").pop() }) : item.path;
    const from = item.derived_from ? `made from ${[item.derived_from].flat().join(", ")}` : "";
    const shown = altered.includes(item.path) ? [name, " ", warning()] : name;
    return make("tr", [make("td", shown), make("td", from), make("td", item.sha256, { className: "hash" })]);
  });
  return make("table", rows);
}
