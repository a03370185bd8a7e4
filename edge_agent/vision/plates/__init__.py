"""Number plates: found with their corners, straightened, read and checked against grammars."""

from edge_agent.vision.plates import finder
from edge_agent.vision.plates.reader import OnnxPlateReader, open_plate_reader

PLATE_DECODERS = (finder.DECODER, "slots")
"""What the cards of plate models may name as their decoder."""

__all__ = ["PLATE_DECODERS", "OnnxPlateReader", "open_plate_reader"]
