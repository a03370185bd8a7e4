// What a person sees: choosing files, a verdict in words, the checks, the case and its pictures.
"use strict";

const CHECKS = [
  ["the container is whole and in its one form", ["unreadable", "container"]],
  ["the certificate fits the device and the time", ["certificate"]],
  ["the signature covers the manifest", ["signature"]],
  ["every file is there, unaltered, and none was added", ["altered", "missing", "extra"]],
  ["it is an entry of the device's signed log", ["leaf", "inclusion", "checkpoint"]],
  ["what the manifest says can be true together", ["inconsistent"]],
  ["it meets the profile that it claims, if any", ["profile"]],
];
const SAID = {
  valid: ["VALID", "Nothing was altered since it was signed, and the signer is one that you trust."],
  intact: [
    "INTACT, SIGNER NOT PROVEN",
    "Nothing was altered since it was signed. Who signed is a claim: anybody can sign with a key of " +
      "their own. Choose a certificate that you trust (2.) to have it proven.",
  ],
  invalid: ["INVALID", "This is not what was signed. It proves nothing."],
};

let chosen = [];
let roots = null;
let urls = [];

function make(tag, content = [], attributes = {}) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...[content].flat());
  return node;
}

async function show() {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  const reports = [];
  for (const file of chosen) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    reports.push(article(file.name, await verifyBundle(bytes, roots)));
  }
  document.getElementById("reports").replaceChildren(...reports);
}

function article(name, result) {
  const [word, sentence] = SAID[result.verdict];
  const verdict = make("div", [make("strong", word), make("p", sentence)], {
    className: `verdict ${result.verdict}`,
  });
  if (result.manifest) verdict.append(make("p", worth(result), { className: "worth" }));
  const parts = [make("h3", "Checks"), checks(result)];
  if (result.manifest) parts.push(...aboutCase(result));
  const title = make("h2", name);
  verdict.prepend(title);
  return make("article", [verdict, make("div", parts)], { className: "report" });
}

function worth({ manifest, verdict }) {
  if (verdict === "invalid") return "Whatever it says below is not to be relied on.";
  if (!manifest.evidential) return `Not evidence: ${manifest.reasons.join(", ")}.`;
  return verdict === "valid" ? "It is evidential." : "It claims to be evidential.";
}

function checks({ findings, manifest }) {
  const rows = [];
  for (const [text, codes] of CHECKS) {
    const found = findings.filter((finding) => codes.includes(finding.code));
    const isUnsaid = !found.length && findings.length > 0 && manifest === null;
    const [mark, kind] = found.length ? ["✗", "missed"] : isUnsaid ? ["–", "unsaid"] : ["✓", "met"];
    const words = [make("div", isUnsaid ? `${text}: could not be checked` : text)];
    words.push(...found.map((f) => make("div", `${f.file} ${f.text}`.trim(), { className: "missed" })));
    rows.push(make("tr", [make("td", mark, { className: kind }), make("td", words)]));
  }
  return make("table", rows, { className: "checks" });
}

function aboutCase({ manifest, manifestSha256, files }) {
  const { case: kase, source, device, site, plate } = manifest;
  const rows = {
    "what happened": `${kase.kind}${kase.zone ? ` in zone ${kase.zone}` : ""}`,
    where: [site.name, source.camera, coordinates(site)].filter(Boolean).join(", "),
    "reported at": `${kase.begin.utc} (frame ${kase.begin.frame})`,
    "lasted": `${kase.dwell_s} s`,
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
    make("div", manifest.media.map((item) => figure(item, files)), { className: "photos" }),
    make("h3", "Copies for reading, and other files"),
    fileTable([...manifest.derived, ...manifest.attached], files),
  ];
}

function coordinates(site) {
  return site.lat === undefined ? null : `${site.lat}, ${site.lon}`;
}

function factTable(rows) {
  const known = Object.entries(rows).filter(([, value]) => value !== null && value !== undefined);
  return make("table", known.map(([name, value]) => make("tr", [make("th", name), make("td", value)])));
}

function link(item, files) {
  const data = files[item.path];
  if (!data) return null;
  const type = item.path.endsWith(".mp4") ? "video/mp4" : item.path.endsWith(".jpg") ? "image/jpeg" : "text/plain";
  const url = URL.createObjectURL(new Blob([data], { type }));
  urls.push(url);
  return url;
}

function figure(item, files) {
  const url = link(item, files);
  const time = item.utc ? `${item.utc}, frame ${item.frame}` : `${item.begin_s} s to ${item.end_s} s`;
  const caption = make("figcaption", [
    make("strong", item.role),
    ` ${time}`,
    make("div", `SHA-256 ${item.sha256}`, { className: "hash" }),
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

function fileTable(items, files) {
  const rows = items.map((item) => {
    const url = link(item, files);
    const name = url ? make("a", item.path, { href: url, download: item.path.split("/").pop() }) : item.path;
    const from = item.derived_from ? `made from ${[item.derived_from].flat().join(", ")}` : "";
    return make("tr", [make("td", name), make("td", from), make("td", item.sha256, { className: "hash" })]);
  });
  return make("table", rows);
}

function complain(text) {
  const place = document.getElementById("trouble");
  place.textContent = text;
  place.hidden = text === "";
}

async function choose(files) {
  chosen = files;
  complain("");
  await show();
}

async function trust(file) {
  complain("");
  const label = document.getElementById("root-name");
  try {
    roots = parsePem(new Uint8Array(await file.arrayBuffer()));
    label.textContent = `trusting ${file.name}: ${roots.map((root) => root.names.join()).join("; ")}`;
  } catch {
    roots = null;
    label.textContent = "no certificate chosen";
    complain(`${file.name}: is not a certificate in PEM form; choose a .pem file`);
  }
  await show();
}

function listen(name, use) {
  const [input, area] = [document.getElementById(name), document.getElementById(`${name}-drop`)];
  input.addEventListener("change", () => input.files.length && use(Array.from(input.files)));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    area.addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) use(Array.from(event.dataTransfer.files));
    });
  }
}

if (!globalThis.crypto?.subtle) {
  complain("This browser offers no cryptography to this page: open it as a file, or over https.");
}
listen("bundles", choose);
listen("root", ([file]) => trust(file));
