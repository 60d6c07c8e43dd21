"""A small library with known groups: pictures of 12 themes, drawn with Pillow.

Pictures of a theme share what photos of it share (what is where, and its colours) and differ in
what differs there: horizon, time of day, exposure, white balance, number and place of things,
noise. A theme and a number always draw the same picture; scene_captions.py has the words.
"""

from __future__ import annotations

import colorsys
import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = (256, 192)

Color = tuple[int, int, int]
Painter = Callable[[random.Random, Image.Image, ImageDraw.ImageDraw], None]


def scene(theme: str, number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Picture `number` of a theme."""
    rng = random.Random(f"{theme} {number}")
    image = Image.new("RGB", SIZE)
    PAINTERS[theme](rng, image, ImageDraw.Draw(image))
    return _photographed(rng, image).resize(size)


def _photographed(rng: random.Random, image: Image.Image) -> Image.Image:
    """Exposure, white balance, focus and sensor noise."""
    exposure = rng.uniform(0.85, 1.15)
    gains = [exposure * rng.uniform(0.95, 1.05) for _ in range(3)]
    bands = [band.point(lambda v, g=g: v * g) for band, g in zip(image.split(), gains, strict=True)]
    image = Image.merge("RGB", bands).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grain = Image.frombytes("L", (64, 48), rng.randbytes(64 * 48)).resize(SIZE)
    strength = rng.uniform(0.02, 0.08)
    grain = grain.point(lambda v: 128 + (v - 128) * strength)
    return ImageChops.add(image, Image.merge("RGB", [grain] * 3), offset=-128)


def _near(rng: random.Random, color: Color, spread: float = 0.05) -> Color:
    """A colour close to `color` in hue, saturation and value."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    h = (h + rng.uniform(-spread, spread) / 2) % 1
    s, v = (min(1, max(0, x + rng.uniform(-spread, spread) * 2)) for x in (s, v))
    r, g, b = colorsys.hsv_to_rgb(h, s, v)
    return round(r * 255), round(g * 255), round(b * 255)


def _fade(image: Image.Image, top: Color, bottom: Color, box: Sequence[float]) -> None:
    x0, y0, x1, y1 = map(round, box)
    if x1 <= x0 or y1 <= y0:
        return
    ramp = Image.linear_gradient("L").resize((x1 - x0, y1 - y0))
    colors = [Image.new("RGB", ramp.size, c) for c in (bottom, top)]
    image.paste(Image.composite(*colors, ramp), (x0, y0))


def _sky(rng: random.Random, image: Image.Image, horizon: float, top: Color, low: Color) -> None:
    _fade(image, _near(rng, top), _near(rng, low), (0, 0, SIZE[0], horizon))


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, color: Color) -> None:
    draw.ellipse((x - r, y - r, x + r, y + r), fill=color)


def _beach(rng, image, draw):
    w, h = SIZE
    sea, sand = h * rng.uniform(0.3, 0.45), h * rng.uniform(0.55, 0.7)
    _sky(rng, image, sea, (90, 160, 235), (190, 220, 245))
    _fade(image, _near(rng, (20, 90, 160)), _near(rng, (60, 170, 190)), (0, sea, w, sand))
    _fade(image, _near(rng, (225, 200, 150)), _near(rng, (240, 215, 165)), (0, sand, w, h))
    for _ in range(rng.randrange(5)):
        x, y = rng.uniform(0, w), rng.uniform(sand, h)
        color = _near(rng, rng.choice([(220, 60, 60), (250, 200, 60), (60, 90, 200)]))
        draw.pieslice((x - 18, y - 18, x + 18, y + 18), 180, 360, fill=color)


def _forest(rng, image, draw):
    w, h = SIZE
    _fade(image, _near(rng, (60, 110, 50)), _near(rng, (35, 55, 25)), (0, 0, w, h))
    for _ in range(rng.randrange(150, 300)):
        color = _near(rng, (50, 110, 40), 0.08)
        _disc(draw, rng.uniform(0, w), rng.uniform(0, h * 0.7), rng.uniform(4, 14), color)
    for _ in range(rng.randrange(6, 14)):
        x, thick = rng.uniform(0, w), rng.uniform(3, 11)
        draw.rectangle((x, 0, x + thick, h), fill=_near(rng, (70, 50, 30)))


def _night_city(rng, image, draw):
    w, h = SIZE
    _fade(image, _near(rng, (8, 8, 25)), _near(rng, (35, 25, 60)), (0, 0, w, h))
    x = -rng.uniform(0, 20)
    while x < w:
        wide, top = rng.uniform(20, 50), h * rng.uniform(0.2, 0.7)
        draw.rectangle((x, top, x + wide, h), fill=_near(rng, (18, 18, 28)))
        for wy in range(round(top) + 5, h - 6, 10):
            for wx in range(round(x) + 4, round(x + wide) - 5, 8):
                if rng.random() < 0.45:
                    draw.rectangle((wx, wy, wx + 3, wy + 5), fill=_near(rng, (250, 205, 110)))
        x += wide + rng.uniform(0, 6)


def _portrait(rng, image, draw):
    w, h = SIZE
    back = _near(rng, (120, 120, 130), 0.06)
    _fade(image, back, _near(rng, (80, 82, 92)), (0, 0, w, h))
    x, y, r = w * rng.uniform(0.4, 0.6), h * rng.uniform(0.36, 0.48), h * rng.uniform(0.2, 0.28)
    skin = rng.choice([(235, 190, 160), (210, 160, 125), (190, 140, 105), (225, 175, 140)])
    skin = _near(rng, skin, 0.02)
    shirt = _near(rng, rng.choice([(150, 60, 60), (70, 80, 130), (90, 90, 95)]))
    draw.ellipse((x - 2.2 * r, y + 1.1 * r, x + 2.2 * r, y + 5 * r), fill=shirt)
    hair = _near(rng, rng.choice([(60, 40, 25), (35, 28, 25), (120, 80, 40)]), 0.03)
    _disc(draw, x, y - 0.25 * r, 1.1 * r, hair)
    draw.ellipse((x - 0.8 * r, y - 0.8 * r, x + 0.8 * r, y + 1.2 * r), fill=skin)
    for side in (-1, 1):
        _disc(draw, x + side * 0.33 * r, y, 0.09 * r, (40, 30, 30))
    draw.arc((x - 0.35 * r, y + 0.3 * r, x + 0.35 * r, y + 0.75 * r), 20, 160, (150, 60, 60), 3)


def _document(rng, image, draw):
    w, h = SIZE
    image.paste(_near(rng, (245, 244, 238), 0.015), (0, 0, w, h))
    left, y, step = rng.uniform(12, 30), rng.uniform(10, 30), rng.uniform(8, 12)
    while y < h - 10:
        if rng.random() < 0.12:
            y += step
        x, end = left, w - rng.uniform(14, 90)
        while x < end:
            word = rng.uniform(5, 28)
            draw.rectangle((x, y, min(x + word, end), y + step * 0.4), fill=(45, 45, 50))
            x += word + 4
        y += step


def _snow(rng, image, draw):
    w, h = SIZE
    ground = h * rng.uniform(0.35, 0.55)
    _sky(rng, image, ground, (190, 205, 225), (225, 232, 240))
    _fade(image, (240, 244, 250), _near(rng, (215, 225, 240), 0.02), (0, ground, w, h))
    for _ in range(rng.randrange(2, 8)):
        x, y, r = rng.uniform(0, w), ground + rng.uniform(-5, 30), rng.uniform(12, 30)
        for i in range(3):
            color = _near(rng, (70, 95, 95), 0.03)
            top = y - r * (1.1 - 0.45 * i)
            draw.polygon([(x, top - r), (x - r * 0.6, top), (x + r * 0.6, top)], fill=color)


def _sunset(rng, image, draw):
    w, h = SIZE
    horizon = h * rng.uniform(0.6, 0.78)
    _sky(rng, image, horizon, (110, 50, 110), (255, 150, 50))
    _fade(image, _near(rng, (190, 90, 50)), _near(rng, (45, 20, 45)), (0, horizon, w, h))
    x, y = w * rng.uniform(0.2, 0.8), horizon - rng.uniform(-8, 40)
    _disc(draw, x, y, rng.uniform(10, 22), (255, 235, 160))
    for _ in range(rng.randrange(3, 10)):
        y = rng.uniform(horizon, h)
        draw.line((x - 30, y, x + rng.uniform(0, 40), y), fill=(255, 190, 100), width=2)


def _meadow(rng, image, draw):
    w, h = SIZE
    ground = h * rng.uniform(0.35, 0.5)
    _sky(rng, image, ground, (100, 165, 235), (200, 225, 245))
    _fade(image, _near(rng, (120, 180, 70)), _near(rng, (70, 140, 40)), (0, ground, w, h))
    for _ in range(rng.randrange(40, 140)):
        color = _near(rng, rng.choice([(240, 220, 60), (235, 90, 90), (250, 250, 250)]))
        y = rng.uniform(ground + 8, h)
        _disc(draw, rng.uniform(0, w), y, 1 + 3 * (y - ground) / (h - ground), color)


def _food(rng, image, draw):
    w, h = SIZE
    image.paste(_near(rng, (125, 80, 50)), (0, 0, w, h))
    for _ in range(12):
        y = rng.uniform(0, h)
        draw.line((0, y, w, y + rng.uniform(-6, 6)), fill=_near(rng, (105, 65, 40)), width=2)
    x, y, r = w * rng.uniform(0.4, 0.6), h * rng.uniform(0.42, 0.58), h * rng.uniform(0.34, 0.46)
    _disc(draw, x, y, r, (240, 238, 232))
    _disc(draw, x, y, r * 0.8, (225, 222, 215))
    foods = [(200, 60, 40), (230, 170, 60), (90, 140, 50), (160, 90, 50)]
    for _ in range(rng.randrange(8, 20)):
        dx, dy = rng.uniform(-0.45, 0.45) * r, rng.uniform(-0.45, 0.45) * r
        _disc(draw, x + dx, y + dy, r * rng.uniform(0.1, 0.2), _near(rng, rng.choice(foods)))


def _underwater(rng, image, draw):
    w, h = SIZE
    _fade(image, _near(rng, (20, 150, 190)), _near(rng, (5, 45, 90)), (0, 0, w, h))
    for _ in range(rng.randrange(5, 25)):
        x, y, r = rng.uniform(0, w), rng.uniform(h * 0.2, h * 0.9), rng.uniform(4, 11)
        color = _near(rng, rng.choice([(250, 160, 40), (240, 220, 90), (200, 220, 230)]))
        draw.ellipse((x - r, y - r / 2, x + r, y + r / 2), fill=color)
        draw.polygon([(x - r, y), (x - 1.7 * r, y - r / 2), (x - 1.7 * r, y + r / 2)], fill=color)


def _street(rng, image, draw):
    w, h = SIZE
    road = h * rng.uniform(0.68, 0.8)
    _sky(rng, image, h * 0.5, (185, 195, 205), (205, 210, 215))
    x = -rng.uniform(0, 30)
    while x < w:
        wide, top = rng.uniform(30, 60), h * rng.uniform(0.08, 0.3)
        brick = rng.choice([(175, 100, 75), (190, 120, 90), (160, 95, 80)])
        draw.rectangle((x, top, x + wide, road), fill=_near(rng, brick, 0.03))
        for wy in range(round(top) + 8, round(road) - 14, 20):
            for wx in range(round(x) + 5, round(x + wide) - 9, 14):
                draw.rectangle((wx, wy, wx + 7, wy + 11), fill=_near(rng, (70, 80, 95), 0.03))
        x += wide
    _fade(image, _near(rng, (95, 95, 98), 0.02), (75, 75, 78), (0, road, w, h))
    for x in range(rng.randrange(40), w, 40):
        draw.rectangle((x, h * 0.9, x + 18, h * 0.9 + 3), fill=(230, 230, 225))


def _desert(rng, image, draw):
    w, h = SIZE
    ground = h * rng.uniform(0.3, 0.45)
    _sky(rng, image, h, (70, 140, 215), (235, 215, 180))
    for i in range(rng.randrange(3, 6)):
        base = ground + i * (h - ground) / 5
        peaks = [(x, base + rng.uniform(-22, 22)) for x in range(-20, w + 61, 40)]
        shade = _near(rng, (215 - 14 * i, 145 - 12 * i, 75 - 8 * i), 0.02)
        draw.polygon([(-20, h), *peaks, (w + 60, h)], fill=shade)


PAINTERS: dict[str, Painter] = {
    "beach": _beach,
    "forest": _forest,
    "night city": _night_city,
    "portrait": _portrait,
    "document": _document,
    "snow": _snow,
    "sunset": _sunset,
    "meadow": _meadow,
    "food": _food,
    "underwater": _underwater,
    "street": _street,
    "desert": _desert,
}

THEMES = tuple(PAINTERS)
