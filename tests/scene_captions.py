"""Captions for the pictures of scenes.py: who or what, doing what, and where."""

from __future__ import annotations

import random

PEOPLE = ("A child", "A woman in a red jacket", "Two friends", "An older man")

WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "beach": (
        (*PEOPLE, "A family", "A dog", "Surfers", "Bathers"),
        ("playing in the sand", "under a parasol", "walking along the waves", "by the sea"),
        ("on a sunny beach", "at the seaside", "on a sandy shore", "near the ocean surf"),
    ),
    "forest": (
        (
            "Tall pines",
            "Mossy trunks",
            "Old oaks",
            "A trail among ferns",
            "Birches",
            "A hiker",
            "Leaves and branches",
            "Fallen logs",
        ),
        ("in deep shade", "in green light", "on a misty morning", "after the rain"),
        ("in a forest", "in dense woodland", "among the trees of the woods", "in a pine forest"),
    ),
    "night city": (
        (
            "Skyscrapers",
            "Lit office windows",
            "Neon signs",
            "Towers",
            "High-rise buildings",
            "Apartment blocks",
            "Rooftops",
            "Illuminated facades",
        ),
        ("glowing", "shining in many colours", "lit up", "sparkling"),
        ("at night", "in the dark city", "over a city skyline at night", "after midnight downtown"),
    ),
    "portrait": (
        (
            "A young woman",
            "A bearded man",
            "A girl with dark hair",
            "A boy",
            "A man with glasses",
            "A teenager",
            "A grandmother",
            "A person",
        ),
        ("smiling at the camera", "looking into the lens", "posing for a portrait", "laughing"),
        (
            "before a plain grey backdrop",
            "in a studio portrait",
            "in a close-up of the face",
            "in a headshot",
        ),
    ),
    "document": (
        (
            "A printed letter",
            "A typed page",
            "A contract",
            "A sheet of paper",
            "An invoice",
            "A form",
            "A page of a report",
            "A printout",
        ),
        ("full of text", "with several paragraphs", "with black type", "with lines of print"),
        ("on white paper", "in a scan", "as a document", "photographed from above for a file"),
    ),
    "snow": (
        (
            "Fir trees",
            "Skiers",
            "A snowman",
            "A sledge",
            "Bare trees",
            "A cabin",
            "Footprints",
            "Spruces",
        ),
        ("covered with fresh snow", "on a white slope", "in deep snow", "in falling snow"),
        ("in winter", "on a cold winter day", "in a snowy landscape", "in the frozen mountains"),
    ),
    "sunset": (
        (
            "The sun",
            "An orange sky",
            "Purple clouds",
            "A glowing horizon",
            "A red sun",
            "Pink light",
            "A fiery sky",
            "Warm light",
        ),
        ("at sunset", "at dusk", "as the sun goes down", "in the last evening light"),
        ("over calm water", "low on the horizon", "in red and gold", "with a golden reflection"),
    ),
    "meadow": (
        (
            "Wildflowers",
            "Poppies and daisies",
            "Yellow buttercups",
            "Tall grass with flowers",
            "Red poppies",
            "White daisies",
            "Clover and dandelions",
            "Blossoms",
        ),
        ("in bloom", "swaying in the wind", "full of bees", "in spring"),
        ("in a green meadow", "in a grassy field", "on a flowering pasture", "in a meadow"),
    ),
    "food": (
        (
            "A plate of pasta",
            "Roast vegetables",
            "A colourful salad",
            "Meat and potatoes",
            "A meal",
            "Tomatoes and cheese",
            "Rice with peppers",
            "A warm dish",
        ),
        ("served on a plate", "ready to eat", "garnished with herbs", "for lunch"),
        ("on a wooden table", "at a restaurant", "in a kitchen", "for dinner at home"),
    ),
    "underwater": (
        (
            "Tropical fish",
            "A school of fish",
            "Orange clownfish",
            "A sea turtle",
            "Yellow fish",
            "Small striped fish",
            "A grouper",
            "Silver fish",
        ),
        ("swimming", "gliding over a coral reef", "in clear blue water", "among corals"),
        ("underwater", "below the surface, seen by a diver", "in an aquarium", "under the sea"),
    ),
    "street": (
        (
            "Brick houses",
            "A row of old buildings",
            "Shop fronts",
            "Parked cars",
            "Terraced houses",
            "Brick facades",
            "Town houses",
            "Red-brick buildings",
        ),
        ("along a street", "beside an asphalt road", "at a crossing", "on a grey day"),
        ("in a town", "in the old town", "on a residential road", "on a city street by day"),
    ),
    "desert": (
        (
            "Sand dunes",
            "Camels",
            "Rippled dunes",
            "A caravan",
            "Golden dunes",
            "Bare sandy hills",
            "A lone traveller",
            "Ridges of sand",
        ),
        ("under a blazing sun", "in dry heat", "stretching to the horizon", "in the wind"),
        ("in the desert", "in the Sahara", "in an arid desert", "among endless dunes of sand"),
    ),
}


def captions(theme: str, count: int) -> list[str]:
    """Different captions for the pictures of a theme, the same at every call."""
    subjects, doings, places = WORDS[theme]
    every = [f"{s} {d} {p}." for s in subjects for d in doings for p in places]
    return random.Random(f"captions {theme}").sample(every, count)
