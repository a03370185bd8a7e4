// What a manifest says against itself: signed, perhaps, but impossible.
"use strict";

const MILLISECOND_S = 0.00101; // times of day are told in whole ms, media times rounded to us
const ROUNDED_S = 0.001; // durations are rounded to ms
const MAX_ERROR_MS = 1000;
const [UNSYNCED, STEPPED] = ["clock not synchronised", "clock stepped"];
const LOOK_ALIKE = ["0ODQ", "1IL7T", "2Z", "4A", "5S", "6G", "8B3", "VY", "UV", "MN", "CG"];
const [SURE, UNSURE] = [0.9, 0.5];
const [DISAGREE, NARROW] = ["plates disagree", "plate too narrow"];
const [ILLEGIBLE, NOT_FOUND] = ["plate not legible", "no plate found"];

/** Everything that cannot be true together, as text. */
async function contradictions(manifest) {
  const found = [];
  found.push(...(await checkIdentity(manifest)));
  for (const check of [
    checkOrder,
    checkBounds,
    checkClock,
    checkTrust,
    checkRoom,
    checkMarks,
    checkPlates,
    checkPlaces,
    checkLinks,
  ]) {
    found.push(...check(manifest));
  }
  return found;
}

function photosOf(manifest) {
  return manifest.media.filter((item) => item.role !== "clip");
}

/** SHA-256 (hex) of the parts as the JSON array that the device hashed. */
async function digest(parts) {
  const text = "[" + parts.map((part) => JSON.stringify(part ?? null)).join(", ") + "]";
  return hex(await sha256(utf8.encode(text)));
}

async function checkIdentity({ source, device, site, case: kase, chain, log }) {
  const found = [];
  const media = source.media_sha256 || kase.boot_id || device.boot_id;
  const parts = [site.name, device.id, source.camera, media, kase.subject];
  if ((await digest(parts)).slice(0, 24) !== kase.id) {
    found.push("the case's id does not follow from site, device, camera and subject");
  }
  let origin = `edge/${site.name}/${device.id}`;
  if (source.kind === "replay") origin += `/replay/${device.boot_id}`;
  if (chain.origin !== origin) found.push("the chain is another one's");
  if (log !== null && log.origin !== origin) found.push("the log is another one's");
  return found;
}

function* checkOrder(manifest) {
  const all = photosOf(manifest);
  const photos = Object.fromEntries(all.map((photo) => [photo.role, photo]));
  if (Object.keys(photos).length !== all.length) yield "two photos have the same role";
  for (const [earlier, later] of [
    ["enter", "wide"],
    ["wide", "leave"],
    ["enter", "leave"],
  ]) {
    const [a, b] = [photos[earlier], photos[later]];
    if (a && b && isEarlier(b, a, manifest)) yield `${later} was taken before ${earlier}`;
  }
  const place = (photo) => indexOf(photo, manifest);
  const inOrder = [...all].sort((a, b) => place(a) - place(b) || a.frame - b.frame);
  for (let i = 0; i + 1 < inOrder.length; i++) {
    const [a, b] = [inOrder[i], inOrder[i + 1]];
    const isAtOdds = (a.frame === b.frame) !== (a.pts_s === b.pts_s) && place(a) === place(b);
    if (isAtOdds || (a.pts_s > b.pts_s && bootOf(a, manifest) === bootOf(b, manifest))) {
      yield `the times of ${a.role} and ${b.role} contradict their frame numbers`;
    }
  }
}

/** By the media clock of one boot, else by which bundle had it first. */
function isEarlier(photo, other, manifest) {
  if (bootOf(photo, manifest) === bootOf(other, manifest)) return photo.pts_s < other.pts_s;
  return indexOf(photo, manifest) < indexOf(other, manifest);
}

function indexOf(photo, manifest) {
  return photo.taken?.index ?? manifest.chain.index;
}

function bootOf(photo, manifest) {
  return photo.taken?.boot_id ?? manifest.device.boot_id;
}

function* checkBounds(manifest) {
  const kase = manifest.case;
  const [begin, end] = [kase.begin.pts_s, kase.latest.pts_s];
  if (end < begin) yield "the case ends before it begins";
  if (kase.since_s > begin) yield "the case was decided before it began";
  if (!(kase.dwell_s >= 0 && kase.dwell_s <= end - kase.since_s + ROUNDED_S)) {
    yield "the time that the vehicle stood is not that of the case";
  }
  const here = photosOf(manifest).filter(
    (photo) => bootOf(photo, manifest) === manifest.device.boot_id,
  );
  for (const { role, pts_s: at } of here) {
    if (role === "enter" && at > begin) yield "enter was taken after the beginning";
    if (["wide", "leave"].includes(role) && at < begin) {
      yield `${role} was taken before the beginning`;
    }
    if (kase.phase === "end" && at > end) yield `${role} was taken after the end`;
  }
}

/** In a recording, the time of day follows from its start; a live camera's clock may step, and
 *  one that is played at a camera's pace is timed by it. */
function* checkClock(manifest) {
  if (manifest.source.kind !== "replay" || manifest.source.start_from === "clock") return;
  const start = Date.parse(manifest.source.start);
  const moments = photosOf(manifest).map((photo) => [photo.role, photo]);
  moments.push(["the beginning", manifest.case.begin], ["the latest event", manifest.case.latest]);
  for (const [name, moment] of moments) {
    const passed = (Date.parse(moment.utc) - start) / 1000;
    if (Math.abs(passed - moment.pts_s) > MILLISECOND_S) {
      yield `the time of ${name} is not that of the recording`;
    }
  }
}

/** What the device knew of its clock, and the reasons that follow from it. */
function* checkTrust({ source, reasons }) {
  const clock = source.clock ?? null;
  if (source.kind === "replay") {
    if (clock !== null && source.start_from !== "clock") {
      yield "a recording tells of a device's clock";
    }
    return;
  }
  if (clock === null) {
    if (source.start_from === "clock" && !reasons.includes(UNSYNCED)) {
      yield `its time is the device's own, its reasons do not say \`${UNSYNCED}\``;
    }
    return;
  }
  const isClose = clock.max_error_ms !== null && clock.max_error_ms <= MAX_ERROR_MS;
  if (!(clock.synced && isClose) && !reasons.includes(UNSYNCED)) {
    yield `what is told of the clock means \`${UNSYNCED}\`, its reasons do not say it`;
  }
  if (clock.steps.length > 0 && !reasons.includes(STEPPED)) {
    yield `the clock was stepped, its reasons do not say \`${STEPPED}\``;
  }
}

/** What was given up for want of room is not there, and photos are missed by name. */
function* checkRoom(manifest) {
  const shed = manifest.shed ?? null;
  if (shed === null) return;
  const there = manifest.media.map((item) => item.role);
  if (manifest.derived.length > 0) there.push("derived");
  for (const what of shed.what) {
    if (there.includes(what)) yield `${what} was given up for want of room, and is there`;
  }
  const reason = `photos shed: ${shed.why}`;
  const hasPhotos = shed.what.some((what) => !["clip", "derived"].includes(what));
  if (hasPhotos && !manifest.case.reasons.includes(reason)) {
    yield `photos were given up, its reasons do not say \`${reason}\``;
  }
}

function* checkMarks(manifest) {
  const [kase, photos] = [manifest.case, photosOf(manifest)];
  if (manifest.evidential && manifest.source.kind === "replay") {
    yield "a replay claims to be evidential";
  }
  if (manifest.evidential === manifest.reasons.length > 0) {
    yield "its evidential mark and its reasons contradict each other";
  }
  if (kase.is_complete === kase.reasons.length > 0) {
    yield "complete and partial contradict each other";
  }
  if (kase.is_complete && photos.length !== 4) {
    yield `a complete case with ${photos.length} photos`;
  }
  if (kase.is_complete && kase.phase !== "end") yield "the case is complete before it has ended";
}

function* checkPlates(manifest) {
  const photos = photosOf(manifest);
  const seen = photos.map((photo) => photo.plate).filter((plate) => plate != null);
  const agreed = manifest.plate ?? null;
  if (agreed === null) {
    if (seen.length > 0) yield "photos show plates, but nothing is said of them together";
    return;
  }
  if (seen.length < photos.length) yield "the plate was not looked at in every photo";
  for (const plate of [...seen, agreed]) {
    const isRead = plate.text !== null;
    if (charsOf(plate.text).length !== plate.chars.length || isRead !== (plate.reason === null)) {
      yield "a plate's text contradicts its scores or its reason";
    }
    if (plate.confidence !== (plate.chars.length ? Math.min(...plate.chars) : 0)) {
      yield "a plate is told to be surer than its weakest character";
    }
  }
  if (agreed.text !== null && agreed.reads < 2) {
    yield "a plate counts as known that was not read twice";
  }
  for (const doubt of plateDoubts(seen, agreed)) {
    if (!manifest.reasons.includes(doubt)) yield `the photos say \`${doubt}\`, its reasons do not`;
  }
}

function charsOf(text) {
  return Array.from(text ?? "");
}

function* plateDoubts(photos, told) {
  const texts = photos.filter((each) => each.text !== null);
  if (texts.length === 0) {
    const reasons = new Set(photos.map((each) => each.reason));
    reasons.delete(NOT_FOUND);
    yield reasons.size === 1 && reasons.has(NARROW) ? NARROW : ILLEGIBLE;
  } else if (told.text !== null) {
    texts.push(told);
  }
  if (texts.some((a, i) => texts.slice(i + 1).some((b) => isOtherPlate(a, b)))) yield DISAGREE;
}

function isOtherPlate(a, b) {
  const [x, y] = [charsOf(a.text), charsOf(b.text)];
  if (x.length !== y.length) return true;
  return x.some((char, i) => {
    const isAlike = LOOK_ALIKE.some((group) => group.includes(char) && group.includes(y[i]));
    return char !== y[i] && Math.min(a.chars[i], b.chars[i]) >= (isAlike ? SURE : UNSURE);
  });
}

/** Originals lie in `media/` under their role, and nothing else lies there. */
function* checkPlaces(manifest) {
  for (const item of manifest.media) {
    const name = item.role === "clip" ? "media/clip.mp4" : `media/${item.role}.jpg`;
    const path = item.plain ? `${name}.age` : name;
    if (item.path !== path) yield `${item.role} lies in ${item.path}, not in ${path}`;
    if (Boolean(item.plain) !== Boolean(manifest.privacy.encrypted_to)) {
      yield `${item.path} contradicts what is said of encryption`;
    }
  }
  for (const { path } of manifest.derived) {
    if (!path.startsWith("derived/")) yield `${path} is derived, but does not lie in derived/`;
  }
  for (const { path } of manifest.attached) {
    if (path.startsWith("media/") || path.startsWith("derived/")) {
      yield `${path} is attached, but lies among the pictures`;
    }
  }
}

function* checkLinks(manifest) {
  const paths = filesOf(manifest).map((item) => item.path);
  if (new Set(paths).size !== paths.length) yield "a file is listed twice";
  const originals = new Set(manifest.media.map((item) => item.path));
  for (const item of manifest.derived) {
    for (const source of [item.derived_from].flat()) {
      if (!originals.has(source)) yield `${item.path} derives from ${source}, which is not there`;
    }
    originals.add(item.path); // a sheet may be made from redacted copies, listed before it
  }
  const { chain, supersedes } = manifest;
  if ((chain.index === 0) !== (chain.previous === null)) {
    yield "only the first bundle of a chain has none before it";
  }
  if (supersedes && supersedes.index >= chain.index) yield "it supersedes a later bundle";
  const latest = supersedes ? supersedes.index : -1;
  for (const { role, taken } of photosOf(manifest)) {
    if (taken && taken.index > latest) {
      yield `${role} came over from a bundle that it does not supersede`;
    }
  }
}

function filesOf(manifest) {
  return [...manifest.media, ...manifest.derived, ...manifest.attached];
}
