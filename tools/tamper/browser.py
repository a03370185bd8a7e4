"""`verify.html` in a real browser, asked about the same bundles as the command line."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from edge_agent.clock import utc_text
from edge_agent.evidence import Report, verify
from edge_agent.evidence.bundle.manifest import FORMAT
from edge_agent.evidence.log import Vkey
from edge_agent.evidence.page import verify_page
from edge_agent.evidence.profiles import shipped_profiles
from edge_agent.evidence.trust.revocation import read_lists
from edge_agent.evidence.trust.succession import with_successors
from edge_agent.evidence.verification.standing import Authorities

AT_ONCE = 100
"""Bundles that the browser is handed in one go."""
UNFORESEEN = (
    "is not by a trusted authority: ",
    "cannot be read: it is no RFC 3161 answer",
    f"is not a manifest of {FORMAT}: ",
)
"""How findings begin that libraries word, or tell apart, in their own ways."""

_CHECK = """
const [bundles, asked, done] = arguments;
const read = (texts, parse) => texts.flatMap((text) => parse(fromBase64(text)));
(async () => {
  const lists = read(asked.lists, parseLists);
  const roots = asked.root && parsePem(fromBase64(asked.root));
  const trusted = {
    lists,
    roots: roots && (await withSuccessors(roots, asked.successors.map(fromBase64), lists)),
    stampers: asked.stampers && parsePem(fromBase64(asked.stampers)),
    witnesses: await Promise.all(asked.witnesses.map(parseVkey)),
    profile: PROFILES[asked.profile] ?? null,
  };
  const dated = (ms) => (ms === null ? null : utcText(ms));
  const told = ({ verdict, code, findings, stamp, bracket, standing, verdicts }) => ({
    verdict,
    code,
    findings: findings.map(({ code, file, text }) => [code, file, text]),
    stamp: stamp && [utcText(stamp.latest), stamp.authority],
    bracket: bracket && [dated(bracket.notBefore), dated(bracket.notAfter)],
    covered: standing && standing.isCovered,
    rules: verdicts.map(({ rule, outcome, found }) => [rule.id, outcome, found]),
  });
  const answer = async (each) => told(await verifyBundle(fromBase64(each), trusted));
  return Promise.all(bundles.map(answer));
})().then(done, (error) => done(String(error.stack)));
"""


@dataclass(frozen=True)
class Trust:
    """Whom both are told to believe."""

    root: bytes | None = None
    lists: tuple[bytes, ...] = ()
    stampers: bytes | None = None
    witnesses: tuple[Vkey, ...] = ()
    successors: tuple[bytes, ...] = ()
    profile: str | None = None

    def report(self, path: Path) -> Report:
        """What the command line says."""
        lists = tuple(one for data in self.lists for one in read_lists(data))
        root = self.root and with_successors(self.root, self.successors, lists)
        profile = None if self.profile is None else shipped_profiles()[self.profile]
        return verify(path, root, profile, Authorities(lists, self.stampers, self.witnesses))

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {
            "root": self.root and _text(self.root),
            "lists": [_text(data) for data in self.lists],
            "stampers": self.stampers and _text(self.stampers),
            "witnesses": [str(key) for key in self.witnesses],
            "successors": [_text(data) for data in self.successors],
            "profile": self.profile,
        }


@dataclass(frozen=True)
class Browser:
    """A browser that has opened the page from the disk."""

    chrome: webdriver.Chrome

    def reports(self, bundles: Sequence[bytes], trust: Trust) -> list[dict[str, Any]]:
        """What the page says of each."""
        seen: list[dict[str, Any]] = []
        for at in range(0, len(bundles), AT_ONCE):
            texts = [_text(bundle) for bundle in bundles[at : at + AT_ONCE]]
            found: Any = self.chrome.execute_async_script(_CHECK, texts, trust.as_json())
            assert isinstance(found, list), found
            seen += found
        return seen

    def agreed(self, bundles: Sequence[bytes], trust: Trust, scratch: Path) -> list[Report]:
        """What both say of each, or AssertionError where they say different things."""
        reports = []
        for bundle, seen in zip(bundles, self.reports(bundles, trust), strict=True):
            scratch.write_bytes(bundle)
            report = trust.report(scratch)
            ours = told(report, seen)
            assert seen == ours, f"the page says {seen}, the command line {ours}"
            reports.append(report)
        return reports


@contextmanager
def opened_page(folder: Path) -> Iterator[Browser]:
    """Write the page there and open it; its console must stay free of errors."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary and driver, "run tools/install_test_needs.sh: chromium or its driver is missing"
    options = Options()
    options.binary_location = binary
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    page = folder / "verify.html"
    page.write_text(verify_page(), "utf-8")
    with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
        chrome.set_script_timeout(120)
        chrome.get(page.as_uri())
        yield Browser(chrome)
        severe: Any = chrome.get_log("browser")  # type: ignore[no-untyped-call]
        assert [entry for entry in severe if entry["level"] == "SEVERE"] == []


def told(report: Report, seen: dict[str, Any]) -> dict[str, Any]:
    """The report in the page's form; `seen` lends the words that cannot be foreseen."""
    findings = [[finding.code, finding.file, finding.text] for finding in report.findings]
    for ours, theirs in zip(findings, seen["findings"], strict=False):
        if ours[2].startswith(UNFORESEEN) and theirs[2].startswith(UNFORESEEN):
            ours[2] = theirs[2]
    stamp, bracket, standing = report.stamp, report.bracket, report.standing
    return {
        "verdict": report.verdict,
        "code": report.exit_code,
        "findings": findings,
        "stamp": stamp and [utc_text(stamp.latest), stamp.authority],
        "bracket": bracket and list(bracket.as_json().values()),
        "covered": standing and standing.is_covered,
        "rules": [[each.rule.id, each.outcome, each.found] for each in report.verdicts],
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
