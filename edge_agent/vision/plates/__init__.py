"""Number plates: found with their corners, straightened, read and checked against grammars."""

from edge_agent.vision.plates.finder import DECODER
from edge_agent.vision.plates.reader import OnnxPlateReader, models_of, open_plate_reader
from edge_agent.vision.plates.recogniser import RECOGNISERS

PLATE_DECODERS = (DECODER, *RECOGNISERS)
"""What the cards of plate models may name as their decoder."""

__all__ = ["PLATE_DECODERS", "OnnxPlateReader", "models_of", "open_plate_reader"]
