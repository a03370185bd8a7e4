"""Other people's class names in our words."""

from __future__ import annotations

from collections.abc import Mapping

STREET = ("person", "bicycle", "motorcycle", "car", "van", "bus", "truck", "vehicle")

ALIASES: Mapping[str, str] = {
    "pedestrian": "person",
    "people": "person",
    "human": "person",
    "bike": "bicycle",
    "cyclist": "bicycle",
    "motorbike": "motorcycle",
    "motorcyclist": "motorcycle",
    "moped": "motorcycle",
    "scooter": "motorcycle",
    "auto": "car",
    "suv": "car",
    "taxi": "car",
    "minivan": "van",
    "minibus": "bus",
    "coach": "bus",
    "lorry": "truck",
    "pickup": "truck",
    "vehicles": "vehicle",
}

COCO_STREET: Mapping[int, str] = {
    0: "person",
    1: "bicycle",
    2: "car",
    3: "motorcycle",
    5: "bus",
    7: "truck",
}
"""Where the street's classes stand among the 80 of COCO."""

ALIKE: Mapping[str, str] = {
    **dict.fromkeys(("car", "van", "bus", "truck"), "vehicle"),
    **dict.fromkeys(("head", "helmet"), "head"),
}
"""Classes that a network gives to one and the same object: a pickup is often a car and a truck.

Boxes of one kind suppress each other, or one vehicle would be counted twice.
"""


def our_names(labels: Mapping[int, str]) -> dict[int, str]:
    """Model index -> our class name for the labels in a file.

    Of the 80 COCO classes only those of the street are kept; a model that was trained for
    something else keeps all of its own, in lower case.
    """
    lower = {index: label.strip().lower().replace("_", " ") for index, label in labels.items()}
    is_coco = {"toothbrush", "hair drier", "person"} <= set(lower.values())
    named = {index: ALIASES.get(label, label) for index, label in lower.items()}
    if is_coco:
        return {index: name for index, name in named.items() if name in STREET}
    return named
