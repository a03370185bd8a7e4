// What a case has to show: the profile that a manifest names, in the words of the command line.
"use strict";

const ATTACHED = "profile.json";
const UNREAD = ["no plates are read at this camera", "plate not read"];
const TOLD = {
  place: (manifest) => manifest.site.name,
  device: (manifest) => manifest.device.id,
  violation: (manifest) => manifest.case.kind,
};

/** Each answers [what is found, null or why it is missed (or a list of reasons), true where only a
 *  person can tell]. */
const RULES = {
  photos({ roles, reason }, manifest) {
    const missing = roles.filter((role) => !photosOf(manifest).some((photo) => photo.role === role));
    if (missing.length === 0) return [`${roles.length} photos`, null];
    const reasons = manifest.case.reasons;
    return [`missing: ${missing.join(", ")}`, reasons.length > 0 ? reasons : reason];
  },
  stills({ at_least, reason }, manifest) {
    const count = photosOf(manifest).length;
    return [`${count} photos`, count >= at_least ? null : reason];
  },
  panoramas({ at_least, min_picture: [width, height], bits, reason }, manifest) {
    const all = panoramasOf(manifest);
    const fit = all.filter(
      (p) => p.width >= width && p.height >= height && (p.encoding.bits || 1) >= bits,
    );
    const count = new Set(fit.map((photo) => photo.pts_s)).size;
    const sizes = Array.from(new Set(all.map((photo) => `${photo.width}x${photo.height}`))).sort();
    const note = sizes.length > 0 ? `; panoramas have ${sizes.join(", ")}` : "";
    const found = `${count} of ${photosOf(manifest).length} photos${note}`;
    return [found, count >= at_least ? null : reason];
  },
  interval({ at_least_s, reason }, manifest) {
    const span = spanOf(panoramasOf(manifest), manifest.device.boot_id);
    return [`${span.toFixed(1)} s between panoramas`, span >= at_least_s ? null : reason];
  },
  permitted_stop({ reason }, manifest) {
    const limit = manifest.case.facts.limit_s;
    if (typeof limit !== "number") {
      return ["the permitted time is not told", "permitted stop unknown"];
    }
    const span = spanOf(photosOf(manifest), manifest.device.boot_id);
    const found = `${span.toFixed(1)} s between photos, ${limit} s permitted`;
    return [found, span > limit ? null : reason];
  },
  clock({ max_error_s, reason }, { source: { clock = null } }) {
    if (clock === null) return ["nothing is known of the clock", reason];
    if (!clock.synced || clock.steps.length > 0 || clock.max_error_ms === null) {
      return [`by ${clock.ref}: not synchronised all the time`, reason];
    }
    const found = `by ${clock.ref}, at most ${clock.max_error_ms / 1000} s off`;
    return [found, clock.max_error_ms <= 1000 * max_error_s ? null : reason];
  },
  legible_plates({ at_least, reason }, manifest) {
    if (!manifest.plate) return UNREAD;
    const seen = platesOf(manifest);
    const count = seen.filter((plate) => plate.text !== null).length;
    if (count >= at_least) return [`legible in ${count} photos`, null];
    const [doubt] = count > 0 ? [reason] : plateDoubts(seen, { text: null });
    return [`legible in ${count} photos`, doubt];
  },
  plates_agree({ reason }, manifest) {
    if (!manifest.plate) return ["no plates are read at this camera: look at them", null, true];
    const texts = [...platesOf(manifest), manifest.plate].filter((plate) => plate.text !== null);
    const isTold = manifest.plate.reason === DISAGREE || manifest.reasons.includes(DISAGREE);
    const isSeen = texts.some((a, i) => texts.slice(i + 1).some((b) => isOtherPlate(a, b)));
    if (isTold || isSeen) return ["photos contradict each other", reason];
    return ["no photo contradicts another", null];
  },
  timed({ reason }, manifest) {
    const count = photosOf(manifest).length;
    if (count === 0) return ["no photo", "photo missing"];
    if (manifest.source.start_from === "assumed") return ["the time of day is assumed", reason];
    return [`time, date and frame number of ${count} photos`, null];
  },
  clip({ min_fps, reason }, manifest) {
    const clip = manifest.media.find((item) => item.role === "clip");
    if (!clip) return ["no clip", "clip missing"];
    const slowest = clip.min_fps ?? null;
    if (slowest === null) return ["its frame rate is unknown", min_fps === 0 ? null : reason];
    return [`${slowest} pictures/s at least`, slowest >= min_fps ? null : reason];
  },
  told({ facts, reason }, manifest) {
    const missing = facts.filter((name) => !TOLD[name](manifest));
    return missing.length > 0 ? [`not told: ${missing.join(", ")}`, reason] : ["all told", null];
  },
  none: ({ instead }) => [instead, null, true],
};

/** What became of each rule: {rule, outcome, found, reasons}. */
function judge(profile, manifest) {
  return profile.rules.map((rule) => {
    const [found, why, isOpen = false] = RULES[rule.check](rule, manifest);
    const reasons = why === null ? [] : [why].flat();
    const outcome = isOpen ? "not checkable" : reasons.length ? "missed" : "met";
    return { rule, outcome, found, reasons };
  });
}

/** Rules of its own profile that a manifest misses without giving that as a reason. */
function* brokenClaims(manifest, attached) {
  if (manifest.profile === null) return;
  const profile = claimedProfile(manifest, attached);
  if (profile === null) {
    yield `names the profile \`${manifest.profile}\`, which is neither shipped nor attached`;
    return;
  }
  for (const { rule, found, reasons } of judge(profile, manifest)) {
    if (!reasons.every((reason) => manifest.reasons.includes(reason))) {
      yield `claims ${profile.name}, but misses its rule \`${rule.id}\`: ${found}`;
    }
  }
}

/** A shipped name means the shipped rules, whatever the bundle carries under that name. */
function claimedProfile(manifest, attached) {
  if (Object.hasOwn(PROFILES, manifest.profile)) return PROFILES[manifest.profile];
  try {
    const profile = parseCanonical(attached);
    const ids = new Set(profile.rules.map((rule) => rule.id));
    const isSound = violation(PROFILE_SCHEMA, profile) === null && ids.size === profile.rules.length;
    return isSound && profile.name === manifest.profile ? profile : null;
  } catch {
    return null; // neither JSON nor anything like a profile
  }
}

/** Photos of the whole picture in which the vehicle reaches no border. */
function panoramasOf(manifest) {
  return photosOf(manifest).filter(({ crop, box: [x1, y1, x2, y2] }) => {
    const isInside = Math.min(x1, y1) > 0 && Math.max(x2, y2) < 1;
    return crop === null && isInside && x1 < x2 && y1 < y2;
  });
}

/** Time between the first and the last photo before the vehicle left, in whole microseconds. */
function spanOf(photos, bootId) {
  const clocks = new Map(); // media times of two boots have nothing to do with each other
  for (const photo of photos.filter((each) => each.role !== "leave")) {
    const clock = photo.taken?.boot_id ?? bootId;
    clocks.set(clock, [...(clocks.get(clock) ?? []), Math.round(1e6 * photo.pts_s)]);
  }
  const spans = [...clocks.values()].map((times) => Math.max(...times) - Math.min(...times));
  return Math.max(0, ...spans) / 1e6;
}

function platesOf(manifest) {
  return photosOf(manifest)
    .map((photo) => photo.plate ?? null)
    .filter((plate) => plate !== null);
}
