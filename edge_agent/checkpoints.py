"""A device's log made public: checkpoints for everybody, requests for its witnesses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.manifest import Cosigned
from edge_agent.evidence.log import Checkpoint, MerkleLog, Note, Vkey
from edge_agent.evidence.verification.witnessed import known_before
from edge_agent.uplink import topics
from edge_agent.uplink.session import Message, Received
from edge_agent.witness import Request

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""Even when nothing happens: silence is how a withheld log shows."""
_NOTE = "text/plain"


@dataclass
class CheckpointFeed:
    """Tells the newest checkpoint every minute; takes what the witnesses answer.

    `hear` may be called from another thread than the rest.
    """

    log: MerkleLog
    tree: str
    """Root of the device's topics."""
    announce: Callable[[Message], None]
    witnesses: Sequence[Vkey] = ()
    """Whose cosignatures count."""
    on_signed: Callable[[int], None] = lambda size: None
    """Called with the number of entries that the log now has on the disk."""
    on_cosigned: Callable[[Note], None] = lambda note: None
    """Called by `tick` with a longer checkpoint that a witness has vouched for."""
    _told_s: float | None = field(default=None, init=False)
    _passed_on: str = field(default="", init=False)
    _is_asked: bool = field(default=False, init=False)
    """A witness stands elsewhere than we thought: tell it again, without waiting a minute."""
    _cosigned: dict[bytes, tuple[Checkpoint, Note]] = field(default_factory=dict, init=False)
    """By the witness's key id."""

    _forgotten: dict[bytes, int] = field(default_factory=dict, init=False)
    """Where a witness stands that cannot be asked; by its key id."""

    @property
    def answers(self) -> str:
        """Topic filter of what the witnesses answer."""
        return topics.cosignature(self.tree, "+")

    @property
    def cosigned(self) -> Note | None:
        """The longest checkpoint that a witness has vouched for."""
        found = sorted(self._cosigned.values(), key=lambda pair: pair[0].size)
        return found[-1][1] if found else None

    @property
    def standing(self) -> dict[str, int | None]:
        """By witness, how many records it has vouched for; None: it was not heard yet."""
        found = {key.name: self._cosigned.get(key.key_id) for key in self.witnesses}
        return {name: None if known is None else known[0].size for name, known in found.items()}

    def known_before(self) -> Cosigned | None:
        """What a manifest of now can say of the newest state that a witness has seen."""
        note = self.cosigned
        return None if note is None else known_before(note, self.witnesses)

    def tick(self, now_s: float) -> None:
        """Tell the checkpoint if it is time to; `now_s` is monotonic."""
        note = self.cosigned
        if note is not None and note.text != self._passed_on:
            self._passed_on = note.text
            self.on_cosigned(note)
        if self._told_s is None or now_s - self._told_s >= EVERY_S or self._is_asked:
            self._told_s = now_s
            self.tell()

    def tell(self) -> None:
        """Sign what the log holds now, publish it, and ask every witness to vouch for it."""
        self._is_asked = False
        note = self.log.checkpoint()
        self.on_signed(self.log.signed_size)
        topic = topics.checkpoint(self.tree)
        self.announce(Message(topic, note.to_bytes(), 0, _NOTE, is_retained=True))
        for witness in self.witnesses:
            request = self._request(witness, note)
            if request is not None:
                topic = topics.add_checkpoint(self.tree, witness.key_id.hex())
                body = request.to_bytes()
                self.announce(Message(topic, body, 0, _NOTE, expiry_s=round(EVERY_S)))

    def hear(self, message: Received) -> None:
        """Take a cosigned checkpoint; whatever is none of ours is dropped with a warning."""
        try:
            note = Note.from_bytes(message.body)
            told = Checkpoint.parse(note.text)
            signers = [key for key in self.witnesses if note.signed_by(key) is not None]
            if told.origin != self.log.origin or not signers:
                raise ValueError("is no checkpoint of this log by a witness of this site")
        except ValueError as error:
            log.warning("cosignature dropped", extra={"topic": message.topic, "why": str(error)})
            return
        for key in signers:
            before = self._cosigned.get(key.key_id)
            if before is None or before[0].size != told.size:
                self._is_asked = told.size < self.log.signed_size
            self._cosigned[key.key_id] = (told, note)
        if told.size > self.log.signed_size:
            log.error(
                "a witness knows more of this log than is here: it was cut back",
                extra={"witnessed": told.size, "here": self.log.signed_size},
            )

    def _request(self, witness: Vkey, note: Note) -> Request | None:
        """None for a witness that is so far behind that its state cannot be proven any more."""
        size = Checkpoint.parse(note.text).size
        known = self._cosigned.get(witness.key_id)
        old = known[0].size if known is not None and known[0].size <= size else 0
        try:
            return Request(old, self.log.consistency(old, size), note)
        except EvidenceError as error:
            if self._forgotten.get(witness.key_id) != old:  # once, not every minute
                self._forgotten[witness.key_id] = old
                log.error(
                    "a witness stands where the log was pruned: restore the newest copy of its "
                    "folder; else let it begin anew by removing what it has of this log",
                    extra={"witness": witness.name, "stands_at": old, "why": str(error)},
                )
            return None
