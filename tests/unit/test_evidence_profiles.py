"""Profiles: which manifests meet them, which miss what, and that nobody gets away with a claim."""

import json
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import ConfigError
from edge_agent.evidence.bundle.manifest import FORMAT, Manifest
from edge_agent.evidence.profiles import (
    ATTACHED,
    Profile,
    attachment,
    broken_claims,
    find_profile,
    measured,
    shipped_profiles,
)
from tamper.browser import opened_page

NAMES = ["bj-2014", "cn-four-photo", "cn-ga832", "uk-2022-71"]
SHA = "ab" * 32
PLATE: dict[str, Any] = {
    "text": "京A12345",
    "confidence": 0.9,
    "chars": [0.9] * 7,
    "region": "cn",
    "reason": None,
}
UNREAD: dict[str, Any] = {
    "text": None,
    "confidence": 0.0,
    "chars": [],
    "region": None,
    "reason": "plate too narrow",
}
OTHER = {**PLATE, "text": "京A99999"}
Change = Callable[[Any], object]


def photo(role: str, t_s: float) -> dict[str, Any]:
    return {
        "path": f"media/{role}.jpg",
        "sha256": SHA,
        "bytes": 9,
        "role": role,
        "width": 1280,
        "height": 720,
        "frame": int(10 * t_s),
        "pts_s": t_s,
        "utc": "2026-05-13T09:49:24.000Z",
        "box": [0.2, 0.2, 0.6, 0.8],
        "crop": [0.1, 0.1, 0.7, 0.9] if role == "close" else None,
        "sharpness": 9.0,
        "encoding": {"source": "decoded frame", "format": "jpeg", "quality": 92, "bits": 24},
        "plate": PLATE,
    }


def facts() -> dict[str, Any]:
    """A live, complete case that leaves nothing to be desired."""
    moment = {"utc": "2026-05-13T09:49:24.000Z", "pts_s": 24.0, "frame": 240}
    rates = {"begin_s": 19.0, "end_s": 29.0, "frames": 250, "fps": 25.0, "min_fps": 12.5}
    clip = {"path": "media/clip.mp4", "sha256": SHA, "bytes": 9, "role": "clip", **rates}
    times = {"enter": 4.0, "wide": 24.0, "close": 26.0, "leave": 60.0}
    return {
        "format": FORMAT,
        "case": {
            "id": "c" * 24,
            "kind": "parking.illegal",
            "subject": "s",
            "zone": "kerb",
            "revision": 2,
            "phase": "end",
            "since_s": 4.5,
            "begin": moment,
            "latest": moment,
            "dwell_s": 55.0,
            "is_complete": True,
            "reasons": [],
            "facts": {"limit_s": 15.0},
        },
        "evidential": True,
        "reasons": [],
        "source": {
            "kind": "live",
            "camera": "c1",
            "media_name": "rtsp",
            "media_sha256": None,
            "start": "2026-05-13T09:49:00.000Z",
            "start_from": "clock",
            "clock": {"ref": "ntp", "synced": True, "max_error_ms": 20.0, "steps": []},
        },
        "object": None,
        "media": [*(photo(role, t_s) for role, t_s in times.items()), clip],
        "derived": [],
        "attached": [],
        "model": {"name": "yolo", "sha256": None},
        "config_sha256": SHA,
        "software": "edge-agent",
        "site": {"name": "plaza"},
        "device": {"id": "box-1", "fingerprint": SHA, "boot_id": "b"},
        "chain": {"origin": "edge/plaza/box-1", "index": 0, "previous": None},
        "supersedes": None,
        "log": None,
        "profile": None,
        "privacy": {"redacted": False, "delete_after": None},
        "plate": {**PLATE, "reads": 3, "models": []},
    }


def manifest(change: Change = lambda said: None) -> Manifest:
    said = facts()
    change(said)
    return Manifest.from_bytes(rfc8785.dumps(said))


def missed(name: str, change: Change) -> dict[str, tuple[str, ...]]:
    verdicts = find_profile(name).judge(manifest(change))
    return {v.rule.id: v.reasons for v in verdicts if v.outcome == "missed"}


def drop(*roles: str) -> Change:
    return lambda m: m.update(media=[item for item in m["media"] if item["role"] not in roles])


def partial(m: Any) -> None:
    drop("leave")(m)
    m["case"].update(is_complete=False, reasons=["vehicle has not left"], phase="update")


def each(**facts: Any) -> Change:
    return lambda m: [item.update(facts) for item in m["media"] if item["role"] != "clip"]


def unread(m: Any) -> None:
    each(plate=UNREAD)(m)
    m["plate"].update(UNREAD, reads=0)


def no_plates(m: Any) -> None:
    m.pop("plate")
    for item in m["media"][:4]:
        item.pop("plate")


def contradict(m: Any) -> None:
    m["media"][1]["plate"] = OTHER
    m["plate"].update(UNREAD, reason="plates disagree", reads=0)


def clock(**facts: Any) -> Change:
    return lambda m: m["source"]["clock"].update(facts)


def at(index: int, **facts: Any) -> Change:
    return lambda m: m["media"][index].update(facts)


STEP = {"before": "2026-05-13T09:49:24.000Z", "after": "2026-05-13T09:50:24.000Z"}
BAD: list[tuple[str, Change, dict[str, tuple[str, ...]]]] = [
    ("cn-four-photo", drop("enter"), {"four-photos": ("photo missing",)}),
    ("cn-four-photo", partial, {"four-photos": ("vehicle has not left",)}),
    ("cn-four-photo", no_plates, {"plate": ("plate not read",)}),
    ("cn-four-photo", unread, {"plate": ("plate too narrow",)}),
    ("cn-four-photo", contradict, {"same-plate": ("plates disagree",)}),
    ("cn-four-photo", each(box=[0.0, 0.2, 0.6, 0.8]), {"whole-scene": ("too few panoramas",)}),
    ("cn-four-photo", each(crop=[0.1, 0.1, 0.9, 0.9]), {"whole-scene": ("too few panoramas",)}),
    (
        "cn-four-photo",
        lambda m: m["site"].update(name=""),
        {"told": ("place, device or violation not told",)},
    ),
    ("cn-ga832", each(height=719), {"picture-size": ("picture too small",)}),
    (
        "cn-ga832",
        lambda m: [item["encoding"].update(bits=8) for item in m["media"][:4]],
        {"picture-size": ("picture too small",)},
    ),
    ("cn-ga832", at(0, pts_s=14.001), {"interval": ("interval too short",)}),
    ("cn-ga832", clock(max_error_ms=1000.1), {"clock": ("clock not synchronised",)}),
    ("cn-ga832", clock(max_error_ms=None), {"clock": ("clock not synchronised",)}),
    ("cn-ga832", clock(synced=False), {"clock": ("clock not synchronised",)}),
    ("cn-ga832", clock(steps=[STEP]), {"clock": ("clock not synchronised",)}),
    ("cn-ga832", lambda m: m["source"].pop("clock"), {"clock": ("clock not synchronised",)}),
    (
        "cn-ga832",
        drop("enter", "leave"),
        {
            "panoramas": ("too few panoramas",),
            "picture-size": ("picture too small",),
            "interval": ("interval too short",),
        },
    ),
    ("bj-2014", drop("enter", "leave"), {"stills": ("too few photos",),
                                         "permitted-stop": ("interval too short",)}),
    ("bj-2014", unread, {"plate": ("plate too narrow",)}),
    (
        "bj-2014",
        lambda m: m["case"]["facts"].update(limit_s=22.0),
        {"permitted-stop": ("interval too short",)},
    ),
    (
        "bj-2014",
        lambda m: m["case"]["facts"].pop("limit_s"),
        {"permitted-stop": ("permitted stop unknown",)},
    ),
    ("uk-2022-71", drop("clip"), {"frame-rate": ("clip missing",)}),
    ("uk-2022-71", at(4, min_fps=4.999), {"frame-rate": ("too few pictures a second",)}),
    ("uk-2022-71", lambda m: m["media"][4].pop("min_fps"),
     {"frame-rate": ("too few pictures a second",)}),
    ("uk-2022-71", clock(max_error_ms=10_001.0), {"clock": ("clock not synchronised",)}),
    (
        "uk-2022-71",
        lambda m: m["source"].update(start_from="assumed"),
        {"timed": ("time of day unknown",)},
    ),
]  # fmt: skip


def test_the_profiles_of_the_contract_are_shipped() -> None:
    assert list(shipped_profiles()) == NAMES
    for profile in shipped_profiles().values():
        for rule in profile.rules:
            assert rule.sentence.endswith(".") and len(rule.source) > 10


@pytest.mark.parametrize("name", NAMES)
def test_a_good_case_meets_every_profile(name: str) -> None:
    assert missed(name, lambda m: None) == {}


@pytest.mark.parametrize(("name", "change", "expected"), BAD)
def test_what_is_missed_is_told(
    name: str, change: Change, expected: dict[str, tuple[str, ...]]
) -> None:
    assert missed(name, change) == expected


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cn-ga832", partial),
        ("cn-ga832", drop("close", "leave", "clip")),
        ("cn-ga832", at(0, pts_s=14.0)),
        ("cn-ga832", clock(max_error_ms=1000.0)),
        ("bj-2014", partial),
        ("bj-2014", lambda m: m["case"]["facts"].update(limit_s=21.999)),
        ("uk-2022-71", at(4, min_fps=5.0)),
        ("cn-four-photo", drop("clip")),
        ("cn-four-photo", clock(synced=False)),
    ],
)
def test_what_a_profile_does_not_ask_for_is_not_missed(name: str, change: Change) -> None:
    assert missed(name, change) == {}


def test_what_no_manifest_shows_is_never_called_met() -> None:
    outcomes = {
        (profile.name, verdict.rule.id): verdict.outcome
        for profile in shipped_profiles().values()
        for verdict in profile.judge(manifest())
    }
    open_ones = {key for key, outcome in outcomes.items() if outcome == "not checkable"}
    assert open_ones == {
        ("bj-2014", "drift"),
        ("cn-ga832", "beijing-time"),
        ("cn-ga832", "looks"),
        ("uk-2022-71", "clip-frames"),
        ("uk-2022-71", "national-standard"),
        ("uk-2022-71", "printed-still"),
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    said = facts()
    roles = draw(st.sets(st.sampled_from(["enter", "wide", "close", "leave", "clip"])))
    said["media"] = [item for item in said["media"] if item["role"] in roles]
    for item in said["media"]:
        if item["role"] == "clip":
            item["min_fps"] = draw(st.sampled_from([None, 2.0, 25.0]))
            continue
        item["width"], item["height"] = draw(st.sampled_from([(1280, 720), (352, 288)]))
        item["pts_s"] = draw(st.sampled_from([0.0, 9.0, 16.0, 60.0]))
        item["box"][0] = draw(st.sampled_from([0.0, 0.2]))
        item["crop"] = draw(st.sampled_from([None, [0.1, 0.1, 0.9, 0.9]]))
        item["plate"] = draw(st.sampled_from([PLATE, UNREAD, OTHER]))
    texts = {item["plate"]["text"] for item in said["media"] if "plate" in item} - {None}
    if texts - {PLATE["text"]}:
        said["plate"].update(UNREAD, reason="plates disagree", reads=0)
    said["case"]["facts"]["limit_s"] = draw(st.sampled_from([8.0, 15.0, None]))
    return said


@settings(deadline=None)
@given(cases(), st.sampled_from(NAMES))
def test_losing_a_photo_never_meets_a_profile(said: dict[str, Any], name: str) -> None:
    def met(case: dict[str, Any]) -> set[str]:
        verdicts = find_profile(name).judge(Manifest.from_bytes(rfc8785.dumps(case)))
        return {verdict.rule.id for verdict in verdicts if verdict.outcome == "met"}

    before = met(said)
    for index in range(len(said["media"])):
        poorer = deepcopy(said)
        del poorer["media"][index]
        assert met(poorer) <= before


@pytest.mark.parametrize("name", NAMES)
def test_a_measured_manifest_is_evidential_exactly_when_nothing_is_missed(name: str) -> None:
    profile = find_profile(name)
    good = measured(manifest(), profile)
    assert (good.profile, good.evidential, good.reasons) == (name, True, [])
    for other, change, expected in BAD:
        if other == name:
            bad = measured(manifest(change), profile)
            assert not bad.evidential
            assert set(bad.reasons) == {reason for why in expected.values() for reason in why}
            assert list(broken_claims(bad, b"")) == []


def test_whether_the_vehicle_must_leave_is_the_profiles_business() -> None:
    def not_left(m: Any) -> None:
        partial(m)
        m.update(evidential=False, reasons=["camera moved", "vehicle has not left"])

    assert measured(manifest(not_left), find_profile("cn-ga832")).reasons == ["camera moved"]
    four = measured(manifest(not_left), find_profile("cn-four-photo"))
    assert four.reasons == ["camera moved", "vehicle has not left"]


def test_a_claim_that_is_not_kept_is_told() -> None:
    def claim(m: Any) -> None:
        m.update(profile="cn-ga832")
        each(width=640)(m)

    (told,) = broken_claims(manifest(claim), b"")
    assert told == (
        "claims cn-ga832, but misses its rule `picture-size`: 0 of 4 photos; panoramas have 640x720"
    )


MINE = """
name: mine
title: Our town
rules:
  - {id: two, source: by-law 3, sentence: Two stills., check: stills, at_least: 2}
"""


def test_an_own_profile_travels_with_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    profile = find_profile(str(path))
    attached = attachment(profile)[ATTACHED]
    assert Profile.model_validate_json(attached) == profile
    claim = manifest(lambda m: (m.update(profile="mine"), drop("enter", "leave", "wide")(m)))
    (told,) = broken_claims(claim, attached)
    assert told == "claims mine, but misses its rule `two`: 1 photos"
    for nothing in (b"", b"{}", attached.replace(b"mine", b"ours")):
        (told,) = broken_claims(claim, nothing)
        assert told == "names the profile `mine`, which is neither shipped nor attached"


def test_a_shipped_name_means_the_shipped_rules() -> None:
    weak = json.dumps({**json.loads(rfc8785.dumps(find_profile("bj-2014").model_dump(mode="json"))),
                       "name": "cn-ga832"}).encode()  # fmt: skip
    claim = manifest(lambda m: (m.update(profile="cn-ga832"), each(width=640)(m)))
    assert len(list(broken_claims(claim, weak))) == 1
    assert attachment(find_profile("cn-ga832")) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "mine.yaml:1: write `name:`, `title:` and `rules:`"),
        (MINE.replace("at_least", "at_lest"), "mine.yaml:5: rules[0].at_lest: unknown key; did"),
        (MINE.replace("at_least: 2", "at_least: true"), "mine.yaml:5: rules[0].at_least: expected"),
        (MINE.replace("stills,", "still,"), "`check: still` is not known; did you mean `stills`?"),
        (MINE.replace("check: stills, ", ""), "mine.yaml:5: rules[0]: is missing its `check:`"),
        (MINE.replace("by-law 3", "''"), "mine.yaml:5: rules[0].source:"),
        (MINE.replace("name: mine", "name: bj-2014"), "is a profile of the package; choose"),
        (MINE + MINE.splitlines()[-1], "two rules have the id `two`"),
        ("name: [", "mine.yaml:1: "),
    ],
)
def test_what_is_wrong_with_an_own_profile_is_told_by_line(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_profile(str(tmp_path / "mine.yaml"))
    assert says in str(caught.value)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean `cn-ga832`"):
        find_profile("cn-ga823")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_profile("none/such.yaml")


def test_the_documentation_knows_every_check_and_its_example_works(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "profiles.md").read_text()
    for profile in shipped_profiles().values():
        assert f"`{profile.name}`" in text
        for rule in profile.rules:
            assert f"`{rule.check}`" in text
    (tmp_path / "mine.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    assert find_profile(str(tmp_path / "mine.yaml")).name == "mine"


JUDGE = """
const [told, attached] = arguments;
return told.map((manifest) => [...brokenClaims(manifest, fromBase64(attached))]);
"""


@pytest.mark.slow
def test_the_page_measures_as_the_command_line_does(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    mine = attachment(find_profile(str(tmp_path / "mine.yaml")))[ATTACHED]
    cases: list[dict[str, Any]] = []
    for name in (*NAMES, "mine", "nobodys"):
        for change in (lambda m: None, *(change for _, change, _ in BAD)):
            cases.append(facts())
            change(cases[-1])
            cases[-1]["profile"] = name
    with opened_page(tmp_path) as browser:
        for attached in (mine, mine.replace(b'"at_least":2', b'"at_least":0'), b""):
            seen: Any = browser.chrome.execute_script(JUDGE, cases, b64encode(attached).decode())
            told = [list(broken_claims(Manifest.model_validate(c), attached)) for c in cases]
            assert seen == told
