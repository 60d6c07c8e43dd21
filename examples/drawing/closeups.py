"""Things near the camera: flowers, a pizza, and lights out of focus."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageDraw, ImageFilter

from drawing.canvas import (
    Color,
    Point,
    clouds,
    curve,
    dice,
    finish,
    glow,
    gradient,
    grain,
    mask_of,
    mix,
    oval,
    soft,
    texture,
)


def flowers() -> Image.Image:
    """Three pink daisies before a blurred meadow; 900x1000."""
    size = (1800, 2000)
    image = gradient(size, [(0, (150, 190, 96)), (0.5, (86, 142, 66)), (1, (36, 84, 46))])
    throw = dice(81)
    for _ in range(70):
        at = (throw.uniform(0, 1800), throw.uniform(0, 2000))
        color = throw.choice(((210, 230, 130), (60, 120, 60), (236, 160, 190), (250, 240, 180)))
        radius = throw.uniform(40, 110)
        soft(image, oval(at, radius, radius), color, opacity=0.3)
    image = image.filter(ImageFilter.GaussianBlur(46))
    for x, y, bend in ((640, 1010, -150), (1290, 700, 120), (1230, 1500, 60)):
        stem = [
            (x - 16, y),
            (x + 16, y),
            (x + 16 + bend * 0.3, y + 500),
            (x + 14 + bend, 2100),
            (x - 20 + bend, 2100),
            (x - 16 + bend * 0.3, y + 500),
        ]
        soft(image, stem, (58, 110, 48), 3)
    _daisy(image, (1290, 660), 330, ((250, 214, 226), (214, 110, 160)), throw)
    _daisy(image, (1230, 1480), 300, ((255, 246, 250), (226, 190, 214)), throw)
    _daisy(image, (620, 1000), 480, ((248, 168, 200), (196, 46, 118)), throw)
    grain(image, 10, 0.05)
    return finish(image)


def _daisy(
    image: Image.Image, at: Point, reach: float, tones: tuple[Color, Color], throw: random.Random
) -> None:
    soft(image, oval((at[0] + 40, at[1] + 70), reach * 0.9, reach * 0.85), (20, 50, 30), 50, 0.45)
    for ring, (count, share) in enumerate(((19, 1.0), (17, 0.86))):
        for i in range(count):
            turn = 360 * i / count + ring * 9 + throw.uniform(-4, 4)
            tone = mix(*tones, throw.uniform(0.15, 0.6) - ring * 0.15)
            _petal(image, at, reach * share * throw.uniform(0.93, 1.04), turn, (tone, tones[1]))
    _heart(image, at, reach * 0.27, throw)


def _petal(
    image: Image.Image, at: Point, reach: float, turn: float, tones: tuple[Color, Color]
) -> None:
    """One petal with a darker base and two creases."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def out(along: float, across: float) -> Point:
        return at[0] + reach * (along * cos - across * sin), at[1] + reach * (
            along * sin + across * cos
        )

    shape = curve(
        [
            out(0.1, -0.04),
            out(0.6, -0.12),
            out(0.93, -0.085),
            out(1, 0),
            out(0.93, 0.085),
            out(0.6, 0.12),
            out(0.1, 0.04),
        ]
    )
    pen = ImageDraw.Draw(image)
    pen.polygon(shape, fill=tones[0], outline=mix(tones[0], tones[1], 0.55), width=3)
    for across in (-0.035, 0.035):
        pen.line(
            [out(0.25, across * 0.6), out(0.9, across)], fill=mix(tones[0], tones[1], 0.4), width=3
        )
    for share in (0.5, 0.42, 0.34):
        base = [
            out(0.1, -0.04),
            out(share, -0.07),
            out(share + 0.06, 0),
            out(share, 0.07),
            out(0.1, 0.04),
        ]
        pen.polygon(base, fill=mix(tones[0], tones[1], 0.9 - share))


def _heart(image: Image.Image, at: Point, radius: float, throw: random.Random) -> None:
    """The yellow middle: dots in the sunflower spiral, darker outside."""
    pen = ImageDraw.Draw(image)
    pen.polygon(oval(at, radius, radius), fill=(176, 104, 22))
    for i in range(420):
        share = math.sqrt(i / 420)
        angle = i * 2.39996
        x, y = at[0] + radius * share * math.cos(angle), at[1] + radius * share * math.sin(angle)
        dot = radius * 0.045
        color = mix((255, 222, 90), (204, 122, 26), share * 0.8 + throw.uniform(-0.15, 0.15))
        pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=color)


def pizza() -> Image.Image:
    """A pizza on a white plate on a wooden table, from above; 900x900."""
    size, middle = (1800, 1800), (900.0, 900.0)
    image = gradient(size, [(0, (176, 122, 76)), (1, (150, 98, 58))])
    texture(image, clouds(size, 91, (1500, 30), 5), 0.4)
    for y in range(0, 1800, 300):
        ImageDraw.Draw(image).line([(0, y), (1800, y)], fill=(96, 60, 36), width=8)
    throw = dice(92)
    soft(image, oval((930, 950), 800, 790), (30, 16, 8), 40, 0.6)
    soft(image, oval(middle, 790, 790), (238, 240, 242))
    soft(image, oval(middle, 720, 720), (214, 218, 224), 10)
    soft(image, oval(middle, 700, 700), (244, 245, 247), 6)
    _crust(image, middle, throw)
    _toppings(image, middle, throw)
    for turn in (22.5, 67.5, 112.5, 157.5):
        cos, sin = math.cos(math.radians(turn)) * 640, math.sin(math.radians(turn)) * 640
        ImageDraw.Draw(image).line(
            [(900 - cos, 900 - sin), (900 + cos, 900 + sin)], fill=(150, 84, 36), width=7
        )
    glow(image, (520, 420), 900, (255, 250, 230), 0.22)
    grain(image, 11, 0.05)
    return finish(image)


def _wobbly(
    at: Point, radius: float, throw: random.Random, wobble: float = 0.03, points: int = 20
) -> list[Point]:
    around = oval(at, radius, radius, points=points)
    return curve(
        [
            (at[0] + (x - at[0]) * k, at[1] + (y - at[1]) * k)
            for x, y in around
            if (k := 1 + throw.uniform(-wobble, wobble))
        ]
    )


def _crust(image: Image.Image, at: Point, throw: random.Random) -> None:
    """Dough, sauce and molten cheese, each a ring further in."""
    soft(image, _wobbly((at[0] + 10, at[1] + 16), 640, throw, 0.01), (90, 70, 60), 16, 0.7)
    dough = Image.new("RGB", image.size, (222, 164, 92))
    texture(dough, clouds(image.size, 93, (120, 120), 4), 0.8)
    image.paste(dough, mask=mask_of(image.size, _wobbly(at, 640, throw, 0.012)))
    soft(image, _wobbly(at, 562, throw, 0.014), (150, 74, 30), 10)
    soft(image, _wobbly(at, 552, throw, 0.014), (188, 52, 28), 4)
    cheese = Image.new("RGB", image.size, (246, 204, 106))
    texture(cheese, clouds(image.size, 94, (170, 170), 5), 0.75)
    image.paste(
        cheese,
        mask=mask_of(image.size, _wobbly(at, 528, throw, 0.035, 34)).filter(
            ImageFilter.GaussianBlur(5)
        ),
    )


def _toppings(image: Image.Image, at: Point, throw: random.Random) -> None:
    for ring, count in ((400, 9), (180, 4)):
        for i in range(count):
            angle = 2 * math.pi * i / count + ring + throw.uniform(-0.12, 0.12)
            spot = (at[0] + ring * math.cos(angle), at[1] + ring * math.sin(angle))
            _salami(image, spot, throw.uniform(84, 96), throw)
    for _ in range(16):
        x, y = _spot(at, 470, throw)
        soft(image, oval((x + 4, y + 8), 30, 30), (120, 70, 30), 6, 0.6)
        soft(image, oval((x, y), 28, 28), (40, 38, 44))
        soft(image, oval((x, y), 12, 12), (214, 160, 80))
    for _ in range(11):
        _basil(image, _spot(at, 430, throw), throw.uniform(0, 360))


def _spot(at: Point, reach: float, throw: random.Random) -> Point:
    angle, share = throw.uniform(0, 2 * math.pi), math.sqrt(throw.random())
    return at[0] + reach * share * math.cos(angle), at[1] + reach * share * math.sin(angle)


def _salami(image: Image.Image, at: Point, radius: float, throw: random.Random) -> None:
    soft(image, oval((at[0] + 8, at[1] + 12), radius, radius), (110, 50, 20), 10, 0.6)
    soft(image, _wobbly(at, radius, throw, 0.02), (138, 30, 24))
    soft(image, _wobbly(at, radius * 0.9, throw, 0.02), (186, 52, 40), 5)
    for _ in range(14):
        soft(
            image,
            oval(_spot(at, radius * 0.75, throw), 7, 5, throw.uniform(0, 90)),
            (232, 150, 120),
        )
    soft(
        image,
        oval((at[0] - radius * 0.3, at[1] - radius * 0.35), radius * 0.35, radius * 0.2, -35),
        (255, 220, 200),
        9,
        0.5,
    )


def _basil(image: Image.Image, at: Point, turn: float) -> None:
    soft(image, oval((at[0] + 6, at[1] + 10), 64, 32, turn), (90, 60, 20), 8, 0.6)
    soft(image, oval(at, 62, 31, turn), (40, 112, 44))
    soft(image, oval((at[0] - 6, at[1] - 8), 46, 16, turn), (92, 166, 74), 6, 0.8)
    cos, sin = math.cos(math.radians(turn)) * 58, math.sin(math.radians(turn)) * 58
    ImageDraw.Draw(image).line(
        [(at[0] - cos, at[1] - sin), (at[0] + cos, at[1] + sin)], fill=(150, 204, 120), width=4
    )


def lights_out_of_focus() -> Image.Image:
    """Coloured discs of light on black, with nothing in focus; 1000x667."""
    size = (2000, 1334)
    image = gradient(size, [(0, (14, 16, 40)), (0.6, (44, 22, 54)), (1, (16, 12, 26))])
    throw = dice(101)
    colors = (
        (255, 190, 90),
        (255, 96, 80),
        (240, 220, 190),
        (84, 160, 255),
        (250, 130, 190),
        (110, 220, 170),
    )
    for radius, count in ((150, 16), (100, 26), (60, 34)):
        for _ in range(count):
            at = (throw.uniform(0, 2000), throw.gauss(760, 260))
            color = throw.choice(colors)
            soft(image, oval(at, radius, radius), color, 7, throw.uniform(0.14, 0.5))
    return finish(image.filter(ImageFilter.GaussianBlur(16)))
