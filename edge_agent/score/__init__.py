"""How well a run did: reported happenings against true ones.

Measures, per event type and in total:

- detection rate: true events that were reported / true events.
- false alarm rate: reported happenings that match no true event / reported happenings.
- mean time to detect: from the true beginning to the first envelope about it, in video time. A
  rule's own waiting time (`dwell_s`) is part of it.
- false alarms per camera-day: false reports / (cameras x length of the footage in days).
- unverifiable share: reported happenings that nobody could prove / reported happenings. That is
  one of a documented kind without an evidence case, or one that says it is not evidential for a
  reason other than being a replay. A replay's clock comes from outside, so that it is not
  synchronised counts as part of being a replay.
"""

from edge_agent.score.figures import Measures, Score, score_events
from edge_agent.score.files import Ignored, TrueEvent, Truth, load_events, load_truth
from edge_agent.score.happenings import Reported, happenings

__all__ = [
    "Ignored",
    "Measures",
    "Reported",
    "Score",
    "TrueEvent",
    "Truth",
    "happenings",
    "load_events",
    "load_truth",
    "score_events",
]
