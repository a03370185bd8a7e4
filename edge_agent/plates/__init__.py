"""What plates mean once they are read: agreement, contradiction, lists, secrecy."""

from edge_agent.plates.book import Entry, Meaning, PlateBook, PlateList
from edge_agent.plates.likeness import contradict
from edge_agent.plates.rotation import RotatingKeys
from edge_agent.plates.secrecy import PlateKey, hashed
from edge_agent.plates.vote import Look, PlateVote, Verdict, decide

__all__ = [
    "Entry",
    "Look",
    "Meaning",
    "PlateBook",
    "PlateKey",
    "PlateList",
    "PlateVote",
    "RotatingKeys",
    "Verdict",
    "contradict",
    "decide",
    "hashed",
]
