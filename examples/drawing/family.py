"""A family portrait in flat shapes with soft shading."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from drawing.canvas import (
    Color,
    Point,
    dice,
    finish,
    glow,
    gradient,
    grain,
    mix,
    oval,
    shape,
    soft,
)


@dataclass(frozen=True)
class Person:
    """Where somebody stands, in which colours; `at` is the chin, `size` half the head's height."""

    at: Point
    size: float
    skin: Color
    hair: Color
    shirt: Color
    long_hair: bool = False
    beard: bool = False
    glasses: bool = False


FAMILY = (
    Person((470, 640), 132, (232, 184, 150), (74, 48, 34), (52, 92, 150), beard=True),
    Person((1010, 600), 126, (150, 98, 66), (34, 24, 24), (196, 72, 74), long_hair=True),
    Person((1510, 650), 130, (240, 200, 172), (206, 204, 204), (96, 128, 96), glasses=True),
    Person((740, 960), 106, (206, 150, 112), (58, 36, 26), (244, 190, 66)),
    Person((1270, 970), 104, (198, 142, 106), (46, 30, 24), (126, 92, 176), long_hair=True),
)


def family() -> Image.Image:
    """Five people who smile, before a blurred garden; 1000x750."""
    size = (2000, 1500)
    image = gradient(size, [(0, (188, 218, 226)), (0.45, (150, 190, 120)), (1, (70, 116, 66))])
    throw = dice(111)
    for _ in range(90):
        at = (throw.uniform(0, 2000), throw.gauss(430, 230))
        color = throw.choice(((96, 150, 84), (60, 110, 64), (214, 226, 150), (240, 244, 220)))
        radius = throw.uniform(40, 130)
        soft(image, oval(at, radius, radius), color, opacity=0.35)
    image = image.filter(ImageFilter.GaussianBlur(30))
    glow(image, (1700, 60), 1000, (255, 244, 206), 0.6)
    for person in FAMILY:
        _draw_person(image, person)
    grain(image, 12, 0.05)
    return finish(image)


CHEST = "-0.4,0.42 -1.45,0.85 -1.8,2.4 -1.9,8 1.9,8 1.8,2.4 1.45,0.85 0.4,0.42"
NECKLINE = "-0.42,0.4 0,0.95 0.42,0.4 0,0.2"
HEAD = "-0.8,-1.1 -0.62,-0.3 0,0.1 0.62,-0.3 0.8,-1.1 0,-1.95"
BEARD = "-0.76,-0.75 -0.6,-0.22 0,0.14 0.6,-0.22 0.76,-0.75 0.4,-0.55 0,-0.62 -0.4,-0.55"
MANE = "-0.95,-1.3 0,-2.25 0.95,-1.3 1.1,0.5 0,0.3 -1.1,0.5"
FRINGE = "-0.88,-1 -0.86,-1.75 0,-2.2 0.86,-1.75 0.88,-1 0.66,-1.4 0.1,-1.62 -0.6,-1.4"
"""Outlines in units of half a head's height, seen from the chin."""

FRAME: Color = (50, 50, 60)


def _draw_person(image: Image.Image, who: Person) -> None:
    if who.long_hair:
        soft(image, shape(MANE, who.at, who.size), mix(who.hair, (0, 0, 0), 0.2))
    _body(image, who)
    _head(image, who)
    for side in (-1, 1):
        _eye(image, who, (who.at[0] + side * 0.33 * who.size, who.at[1] - 0.95 * who.size))
    _nose_and_mouth(image, who)
    _fringe(image, who)


def _body(image: Image.Image, who: Person) -> None:
    x, y, s = *who.at, who.size
    soft(image, shape(CHEST, (x + 14, y + 10), s), (30, 40, 30), 22, 0.5)
    soft(image, shape(CHEST, who.at, s), who.shirt)
    for side in (-1, 1):
        fold = shape("1.02,1.5 1.1,2.2 1.12,8 1.05,8", who.at, s, side)
        soft(image, fold, mix(who.shirt, (0, 0, 0), 0.45), 9, 0.7)
    shaded = mix(who.skin, (90, 40, 30), 0.25)
    soft(image, shape(NECKLINE, who.at, s), shaded)
    left, right = x - 0.38 * s, x + 0.38 * s
    neck = [(left, y - 0.3 * s), (right, y - 0.3 * s), (right, y + 0.52 * s), (left, y + 0.52 * s)]
    soft(image, neck, shaded, 3)


def _head(image: Image.Image, who: Person) -> None:
    x, y, s = *who.at, who.size
    for side in (-1, 1):
        ear = oval((x + side * 0.84 * s, y - 0.86 * s), 0.16 * s, 0.24 * s)
        soft(image, ear, mix(who.skin, (120, 40, 30), 0.2))
    soft(image, shape(HEAD, who.at, s), who.skin)
    if who.beard:
        soft(image, shape(BEARD, who.at, s), who.hair, 3)
    for side in (-1, 1):
        cheek = oval((x + side * 0.45 * s, y - 0.6 * s), 0.2 * s, 0.14 * s)
        soft(image, cheek, (230, 100, 90), 12, 0.35)


def _eye(image: Image.Image, who: Person, at: Point) -> None:
    x, y, s = *at, who.size
    soft(image, oval(at, 0.13 * s, 0.1 * s), (250, 250, 250))
    soft(image, oval(at, 0.08 * s, 0.09 * s), (50, 36, 30))
    soft(image, oval((x + 0.03 * s, y - 0.03 * s), 0.025 * s, 0.025 * s), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    brow = (x - 0.2 * s, y - 0.3 * s, x + 0.2 * s, y + 0.1 * s)
    pen.arc(brow, 205, 335, fill=mix(who.hair, (60, 40, 30), 0.4), width=round(0.06 * s))
    if who.glasses:
        lens = (x - 0.24 * s, y - 0.2 * s, x + 0.24 * s, y + 0.24 * s)
        pen.ellipse(lens, outline=FRAME, width=6)


def _nose_and_mouth(image: Image.Image, who: Person) -> None:
    x, y, s = *who.at, who.size
    pen = ImageDraw.Draw(image)
    if who.glasses:
        bridge = y - 0.95 * s
        pen.line([(x - 0.1 * s, bridge), (x + 0.1 * s, bridge)], fill=FRAME, width=6)
    nose = (x - 0.12 * s, y - 0.85 * s, x + 0.12 * s, y - 0.6 * s)
    pen.arc(nose, 20, 160, fill=mix(who.skin, (90, 30, 20), 0.45), width=6)
    lips = (x - 0.32 * s, y - 0.72 * s, x + 0.32 * s, y - 0.2 * s)
    pen.chord(lips, 12, 168, fill=(150, 44, 48))
    teeth = (x - 0.27 * s, y - 0.66 * s, x + 0.27 * s, y - 0.32 * s)
    pen.chord(teeth, 18, 162, fill=(252, 250, 246))


def _fringe(image: Image.Image, who: Person) -> None:
    x, y, s = *who.at, who.size
    soft(image, shape(FRINGE, who.at, s), who.hair)
    shine = oval((x - 0.3 * s, y - 1.95 * s), 0.36 * s, 0.08 * s, -18)
    soft(image, shine, mix(who.hair, (255, 255, 255), 0.5), 9, 0.6)
