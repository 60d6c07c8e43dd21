"""What the drawings share: gradients, noise, soft light, smooth outlines, ragged skylines.

Coordinates are pixels of the picture while it is drawn, twice its final size: `finish` shrinks it,
which smooths every edge. Every random choice comes from a seed, so a picture is the same each time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Color = tuple[int, int, int]
Point = tuple[float, float]
Size = tuple[int, int]

SCALE = 2
"""Pixels drawn per final pixel, in each direction."""


def dice(seed: int) -> random.Random:
    """A random generator for decoration; the same seed throws the same numbers."""
    return random.Random(seed)  # noqa: S311


def mix(a: Color, b: Color, share: float) -> Color:
    """The colour `share` (0..1) of the way from `a` to `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def gradient(size: Size, stops: Sequence[tuple[float, Color]]) -> Image.Image:
    """A picture that changes from top to bottom through (position 0..1, colour) stops."""
    height = 256
    column = Image.new("RGB", (1, height))
    for (start, upper), (end, lower) in itertools.pairwise(stops):
        for y in range(round(start * (height - 1)), round(end * (height - 1)) + 1):
            share = (y / (height - 1) - start) / (end - start)
            column.putpixel((0, y), mix(upper, lower, min(max(share, 0.0), 1.0)))
    return column.resize(size, Image.Resampling.BICUBIC)


def clouds(size: Size, seed: int, cell: Size = (400, 200), octaves: int = 5) -> Image.Image:
    """Mode L noise in which large soft shapes carry smaller ones; `cell` is the largest, in px."""
    throw = dice(seed)
    total = Image.new("L", size, 128)
    for octave in range(octaves):
        grid = [max(2, math.ceil(n / c * 2**octave)) for n, c in zip(size, cell, strict=True)]
        layer = Image.frombytes("L", (grid[0], grid[1]), throw.randbytes(grid[0] * grid[1]))
        layer = layer.resize(size, Image.Resampling.BICUBIC)
        amount = 0.5**octave
        total = ImageChops.add(
            total, layer.point(lambda v, a=amount: round(v * a)), 1, round(-127 * amount)
        )
    return total


def stretch(mask: Image.Image, low: int, high: int, top: int = 255) -> Image.Image:
    """Contrast of a mode L mask: `low` and below becomes 0, `high` and above `top`."""
    return mask.point(lambda v: round(min(max((v - low) / (high - low), 0.0), 1.0) * top))


def texture(image: Image.Image, noise: Image.Image, strength: float) -> None:
    """Lighten and darken `image` in place by mode L noise around 128; `strength` is 0..1."""
    light = noise.point(lambda v: round(min(max(128 + (v - 128) * strength, 0), 255)))
    image.paste(ImageChops.overlay(image, Image.merge("RGB", [light] * 3)))


def grain(image: Image.Image, seed: int, strength: float = 0.06) -> None:
    """Film grain, in place."""
    noise = Image.frombytes("L", image.size, dice(seed).randbytes(image.width * image.height))
    texture(image, noise, strength)


def glow(image: Image.Image, at: Point, radius: float, color: Color, opacity: float = 1.0) -> None:
    """A round light that fades towards `radius`, in place."""
    side = round(radius * 2)
    falloff = Image.radial_gradient("L").resize((side, side), Image.Resampling.BICUBIC)
    mask = falloff.point(lambda v: round(max(0.0, 1 - v / 181) ** 2 * 255 * opacity))
    image.paste(color, (round(at[0] - radius), round(at[1] - radius)), mask)


def soft(
    image: Image.Image,
    outline: Sequence[Point],
    color: Color,
    blur: float = 0,
    opacity: float = 1.0,
) -> None:
    """Fill an outline in place, with edges blurred by `blur` pixels: shadows, cheeks, mist.

    Only the box around the outline is touched; on the whole picture the pizza took 7 s, not 1.
    """
    reach = math.ceil(blur * 3) + 1
    left = math.floor(min(x for x, _ in outline)) - reach
    top = math.floor(min(y for _, y in outline)) - reach
    width = math.ceil(max(x for x, _ in outline)) + reach - left
    height = math.ceil(max(y for _, y in outline)) + reach - top
    mask = Image.new("L", (width, height))
    moved = [(x - left, y - top) for x, y in outline]
    ImageDraw.Draw(mask).polygon(moved, fill=round(255 * opacity))
    image.paste(color, (left, top), mask.filter(ImageFilter.GaussianBlur(blur)) if blur else mask)


def curve(points: Sequence[Point], steps: int = 12) -> list[Point]:
    """A smooth closed outline through the points (a Catmull-Rom spline)."""
    smooth: list[Point] = []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
        smooth += [_between(a, b, c, d, step / steps) for step in range(steps)]
    return smooth


def shape(numbers: str, at: Point = (0, 0), size: float = 1.0, flip: int = 1) -> list[Point]:
    """A smooth outline from "x,y x,y ...": scaled, mirrored where `flip` is -1, moved to `at`."""
    pairs = (pair.split(",") for pair in numbers.split())
    return curve([(at[0] + flip * size * float(x), at[1] + size * float(y)) for x, y in pairs])


def _between(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    def axis(p: float, q: float, r: float, s: float) -> float:
        cubic = (3 * q - p - 3 * r + s) * t**3 + (2 * p - 5 * q + 4 * r - s) * t**2
        return (cubic + (r - p) * t) / 2 + q

    return axis(a[0], b[0], c[0], d[0]), axis(a[1], b[1], c[1], d[1])


def oval(at: Point, rx: float, ry: float, turn: float = 0.0, points: int = 96) -> list[Point]:
    """An ellipse as an outline; `turn` is in degrees, clockwise."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    angles = [2 * math.pi * i / points for i in range(points)]
    flat = [(rx * math.cos(a), ry * math.sin(a)) for a in angles]
    return [(at[0] + x * cos - y * sin, at[1] + x * sin + y * cos) for x, y in flat]


def skyline(width: int, level: float, rise: float, seed: int, rough: float = 0.5) -> list[Point]:
    """A ragged line across `width`, about `rise` above or below `level` (midpoint displacement)."""
    throw = dice(seed)
    heights = [throw.uniform(-rise, rise) for _ in range(5)]
    while len(heights) < 513:
        rise *= rough
        pairs = list(itertools.pairwise(heights))
        heights = [h for a, b in pairs for h in (a, (a + b) / 2 + throw.uniform(-rise, rise))]
        heights.append(pairs[-1][1])
    return [(width * i / (len(heights) - 1), level - h) for i, h in enumerate(heights)]


def ground(line: Sequence[Point], bottom: float) -> list[Point]:
    """The area between a skyline and `bottom`."""
    return [*line, (line[-1][0], bottom), (line[0][0], bottom)]


def mask_of(size: Size, outline: Sequence[Point]) -> Image.Image:
    """A mode L mask that is 255 inside the outline."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(list(outline), fill=255)
    return mask


def finish(image: Image.Image) -> Image.Image:
    """The picture at its final size."""
    return image.resize((image.width // SCALE, image.height // SCALE), Image.Resampling.LANCZOS)
