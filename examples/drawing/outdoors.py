"""Landscapes: a mountain lake, a beach at sunset, a winter evening."""

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
    ground,
    mask_of,
    mix,
    oval,
    skyline,
    soft,
    stretch,
    texture,
)


def mountain_lake() -> Image.Image:
    """Snowy peaks and a forest, mirrored in a lake; 1200x800."""
    size = (2400, 1600)
    shore = 960
    image = gradient(size, [(0, (62, 124, 196)), (0.45, (158, 200, 232)), (1, (226, 236, 240))])
    image.paste((250, 250, 248), mask=stretch(clouds(size, 3, (900, 260)), 140, 235, 225))
    _peaks(image, 520, 250, 46, (112, 130, 158))
    _peaks(image, 640, 290, 21, (84, 98, 118))
    for level, rise, seed, color in ((790, 90, 5, (74, 108, 104)), (870, 60, 8, (48, 84, 62))):
        soft(image, ground(skyline(2400, level, rise, seed, 0.42), shore), color)
    _forest(image, shore, 77)
    _mirror(image, shore)
    _meadow(image, 1)
    grain(image, 2)
    return finish(image)


def _peaks(image: Image.Image, level: float, rise: float, seed: int, rock: Color) -> None:
    """A mountain range with relief from noise lit from the left, and snow above a ragged line."""
    line = skyline(image.width, level, rise, seed, 0.52)
    noise = clouds(image.size, seed, (260, 420), 6)
    lit = Image.blend(
        noise,
        noise.transform(noise.size, Image.Transform.AFFINE, (1, 0, 9, 0, 1, 4)).point(
            lambda v: 255 - v
        ),
        0.5,
    )
    relief = stretch(lit, 96, 160)
    stone = Image.new("RGB", image.size, rock)
    snow = Image.new("RGB", image.size, (236, 240, 246))
    ragged = skyline(image.width, 0, 150, seed + 1, 0.72)
    edge = [
        (x, y + max(16, 60 + 0.5 * (level - y) + n))
        for (x, y), (_, n) in zip(line, ragged, strict=True)
    ]
    frozen = mask_of(image.size, [*line, *reversed(edge)]).filter(ImageFilter.GaussianBlur(4))
    stone.paste(snow, mask=frozen)
    texture(stone, relief, 0.8)
    image.paste(stone, mask=mask_of(image.size, ground(line, image.height)))


def _forest(image: Image.Image, shore: float, seed: int) -> None:
    throw = dice(seed)
    for depth in range(3):
        for _ in range(150):
            x = throw.uniform(0, image.width)
            height = throw.uniform(60, 130) * (1 - depth * 0.18) * (0.7 + abs(x / 1200 - 1) * 0.9)
            color = mix((30, 62, 44), (16, 40, 30), throw.random())
            _fir(image, (x, shore + depth * 4), height, color)


def _fir(image: Image.Image, foot: Point, height: float, color: Color) -> None:
    """A conifer of four tiers that stands on `foot`."""
    pen = ImageDraw.Draw(image)
    x, y = foot
    for tier in range(4):
        top = y - height * (1 - tier * 0.2)
        half = height * (0.1 + tier * 0.045)
        base = top + height * (0.34 + tier * 0.02)
        shade = mix(color, (0, 0, 0), tier * 0.07)
        pen.polygon(
            [(x, top), (x - half, base), (x, base - height * 0.05), (x + half, base)], fill=shade
        )


def _mirror(image: Image.Image, shore: int) -> None:
    """What stands above `shore`, upside down below it, rippled and dimmed."""
    depth = image.height - shore
    above = image.crop((0, shore - depth, image.width, shore)).transpose(
        Image.Transpose.FLIP_TOP_BOTTOM
    )
    above = Image.blend(above, Image.new("RGB", above.size, (38, 84, 112)), 0.34)
    above = above.filter(ImageFilter.GaussianBlur(3))
    for y in range(depth):
        shift = round(math.sin(y / (2.2 + y / 60)) * (1 + y / 34))
        row = above.crop((0, y, image.width, y + 1))
        image.paste(row, (0, shore + y))
        image.paste(row, (shift, shore + y))
    pen = ImageDraw.Draw(image)
    pen.line([(0, shore), (image.width, shore)], fill=(196, 206, 190), width=5)
    image.paste((214, 232, 240), mask=_ripples(image.size, shore))


def _ripples(size: tuple[int, int], shore: int) -> Image.Image:
    ripples = stretch(clouds(size, 12, (700, 26), 4), 168, 255, 110)
    ripples.paste(0, (0, 0, size[0], shore + 40))
    return ripples


def _meadow(image: Image.Image, seed: int) -> None:
    """Grass and flowers in the near corner."""
    throw = dice(seed)
    pen = ImageDraw.Draw(image)
    for _ in range(2600):
        x = 1800 * throw.random() ** 1.5
        y = 1650 - (200 - x / 9) * throw.random() + x / 40
        tip = (x + throw.uniform(-24, 24), y - throw.uniform(40, 95))
        pen.line([(x, y), tip], fill=mix((38, 74, 30), (126, 150, 62), throw.random()), width=4)
    for _ in range(46):
        x = 1300 * throw.random() ** 1.5
        y = 1540 - (150 - x / 10) * throw.random()
        color = throw.choice([(250, 236, 120), (250, 250, 250), (212, 96, 150)])
        for turn in range(5):
            a = turn * 1.257
            pen.polygon(
                oval((x + 8 * math.cos(a), y + 8 * math.sin(a)), 8, 8, points=12), fill=color
            )
        pen.polygon(oval((x, y), 5, 5, points=10), fill=(232, 160, 40))


def sunset_beach() -> Image.Image:
    """The sun over the sea, wet sand, a palm; 1200x675."""
    size = (2400, 1350)
    horizon, sun = 720, (1500, 640)
    sky = [
        (0, (58, 44, 108)),
        (0.28, (176, 84, 122)),
        (0.45, (244, 150, 92)),
        (0.56, (255, 214, 130)),
        (1, (255, 214, 130)),
    ]
    image = gradient(size, sky)
    glow(image, sun, 1100, (255, 210, 120), 0.75)
    image.paste((110, 54, 96), mask=stretch(clouds(size, 31, (1100, 80)), 158, 250, 170))
    glow(image, sun, 380, (255, 244, 200))
    soft(image, oval(sun, 74, 74), (255, 250, 226), 2)
    image.paste(_sea(size, horizon), (0, horizon))
    _glitter(image, horizon, sun[0])
    _sand(image)
    _palm(image, (330, 1300))
    for x, y in ((980, 300), (1070, 340), (930, 370)):
        ImageDraw.Draw(image).line(
            [(x - 30, y - 12), (x - 12, y - 16), (x, y), (x + 12, y - 16), (x + 30, y - 12)],
            fill=(60, 34, 60),
            width=5,
            joint="curve",
        )
    grain(image, 4)
    return finish(image)


def _sea(size: tuple[int, int], horizon: int) -> Image.Image:
    box = (size[0], size[1] - horizon)
    sea = gradient(box, [(0, (214, 128, 96)), (0.25, (134, 84, 110)), (1, (46, 50, 88))])
    texture(sea, clouds(box, 8, (500, 24), 4), 0.6)
    return sea


def _glitter(image: Image.Image, horizon: int, x: float) -> None:
    throw = dice(6)
    pen = ImageDraw.Draw(image)
    for _ in range(900):
        depth = throw.random() ** 1.4
        y = horizon + 4 + depth * 420
        half = 6 + depth * 46 * throw.random()
        middle = throw.gauss(x, 30 + depth * 110)
        color = mix((255, 236, 170), (250, 150, 90), throw.random() * 0.9)
        pen.ellipse(
            (middle - half, y - 1 - depth * 3, middle + half, y + 1 + depth * 3), fill=color
        )


def _sand(image: Image.Image) -> None:
    edge = [
        (x, 1130 + 46 * math.sin(x / 330 + 0.6) + 14 * math.sin(x / 90))
        for x in range(-20, 2440, 20)
    ]
    sand = gradient(
        image.size,
        [(0, (120, 76, 74)), (0.82, (196, 134, 104)), (0.9, (140, 92, 80)), (1, (104, 66, 62))],
    )
    texture(sand, clouds(image.size, 14, (260, 14), 5), 0.3)
    soft(image, ground([(x, y - 16) for x, y in edge], 1350), (255, 224, 206), 5, 0.9)
    image.paste(
        sand, mask=mask_of(image.size, ground(edge, 1350)).filter(ImageFilter.GaussianBlur(4))
    )
    glow(image, (1500, 1190), 300, (255, 196, 140), 0.45)


def _palm(image: Image.Image, foot: Point) -> None:
    dark = (34, 20, 36)
    x, y = foot
    trunk = [
        (x - 34, y + 60),
        (x + 4, y - 320),
        (x + 92, y - 740),
        (x + 122, y - 734),
        (x + 44, y - 320),
        (x + 30, y + 60),
    ]
    soft(image, curve(trunk), dark)
    crown = (x + 106, y - 740)
    for angle, reach in (
        (-172, 420),
        (-142, 400),
        (-108, 330),
        (-66, 350),
        (-30, 420),
        (4, 400),
        (24, 320),
        (160, 330),
    ):
        _frond(image, crown, math.radians(angle), reach, dark)


def _frond(image: Image.Image, start: Point, angle: float, reach: float, color: Color) -> None:
    """A palm leaf: a bowed rib with leaflets hanging from it."""
    pen = ImageDraw.Draw(image)
    for step in range(64):
        share = step / 63
        x = start[0] + math.cos(angle) * reach * share
        y = start[1] + math.sin(angle) * reach * share * 0.8 + 210 * share**2
        drop = 120 * math.sin(math.pi * share)
        lean = math.cos(angle) * 60 * (1 - share)
        pen.line([(x, y), (x + lean - 14, y + drop)], fill=color, width=4)
        pen.line([(x, y), (x + lean + 18, y + drop * 0.8)], fill=color, width=4)
        pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=color)


def snowy_cabin() -> Image.Image:
    """A cabin with lit windows among snowy firs, while it snows; 1200x800."""
    size = (2400, 1600)
    image = gradient(
        size,
        [
            (0, (132, 156, 196)),
            (0.4, (206, 206, 222)),
            (0.6, (244, 218, 214)),
            (1, (236, 238, 246)),
        ],
    )
    soft(image, ground(skyline(2400, 720, 160, 17, 0.5), 1600), (170, 184, 208))
    soft(image, ground(skyline(2400, 820, 110, 9, 0.45), 1600), (196, 206, 224))
    throw = dice(13)
    for _ in range(70):
        _snowy_fir(
            image, (throw.uniform(0, 2400), throw.uniform(930, 990)), throw.uniform(140, 260), throw
        )
    _drift(image, 990, 3, (222, 230, 242))
    _cabin(image, (1480, 1120))
    for x, y, height in (
        (180, 1260, 640),
        (470, 1190, 430),
        (2180, 1280, 700),
        (1000, 1130, 330),
        (1960, 1180, 380),
    ):
        _snowy_fir(image, (x, y), height, throw)
    _drift(image, 1270, 7, (240, 244, 250))
    _snowfall(image, throw)
    grain(image, 5, 0.04)
    return finish(image)


def _drift(image: Image.Image, level: float, seed: int, color: Color) -> None:
    line = [
        (x, level + 40 * math.sin(x / 420 + seed) + 22 * math.sin(x / 170 + seed * 2))
        for x in range(0, 2420, 20)
    ]
    snow = gradient(
        image.size, [(0, color), (level / 1600, color), (1, mix(color, (168, 188, 222), 0.7))]
    )
    texture(snow, clouds(image.size, seed, (500, 90), 4), 0.22)
    image.paste(
        snow, mask=mask_of(image.size, ground(line, 1600)).filter(ImageFilter.GaussianBlur(3))
    )


def _snowy_fir(image: Image.Image, foot: Point, height: float, throw: random.Random) -> None:
    """A fir whose tiers each carry snow on their upper edge."""
    pen = ImageDraw.Draw(image)
    x, y = foot
    pen.rectangle((x - height * 0.03, y - height * 0.1, x + height * 0.03, y), fill=(74, 58, 56))
    for tier in reversed(range(6)):
        top = y - height * (1 - tier * 0.15)
        half = height * (0.08 + tier * 0.045)
        base = top + height * 0.25
        green = mix((44, 74, 72), (66, 98, 92), throw.random())
        pen.polygon(
            [
                (x, top),
                (x - half, base),
                (x - half / 2, base - 8),
                (x, base + 8),
                (x + half / 2, base - 8),
                (x + half, base),
            ],
            fill=green,
        )
        snow = [
            (x, top - 4),
            (x - half * 0.85, base - height * 0.035),
            (x - half * 0.3, base - height * 0.09),
            (x, base - height * 0.06),
            (x + half * 0.25, base - height * 0.11),
            (x + half * 0.7, base - height * 0.06),
        ]
        pen.polygon(snow, fill=mix((226, 234, 246), (250, 252, 255), throw.random()))


def _cabin(image: Image.Image, foot: Point) -> None:
    x, y = foot
    glow(image, (x, y - 60), 420, (255, 214, 150), 0.5)
    pen = ImageDraw.Draw(image)
    for row in range(8):
        color = mix((96, 60, 44), (124, 80, 56), row % 2)
        pen.rectangle((x - 230, y - 200 + row * 28, x + 230, y - 174 + row * 28), fill=color)
    pen.polygon(
        [(x - 300, y - 190), (x - 170, y - 380), (x + 170, y - 380), (x + 300, y - 190)],
        fill=(238, 242, 250),
    )
    pen.polygon(
        [(x - 300, y - 190), (x + 300, y - 190), (x + 286, y - 170), (x - 286, y - 170)],
        fill=(176, 192, 220),
    )
    pen.rectangle((x + 80, y - 470, x + 130, y - 360), fill=(110, 74, 66))
    pen.rectangle((x + 70, y - 486, x + 140, y - 466), fill=(244, 247, 252))
    soft(
        image,
        curve(
            [
                (x + 100, y - 490),
                (x + 60, y - 570),
                (x + 150, y - 660),
                (x + 240, y - 720),
                (x + 190, y - 610),
                (x + 130, y - 540),
            ]
        ),
        (232, 232, 240),
        26,
        0.8,
    )
    for left in (-170, 60):
        pen.rectangle(
            (x + left, y - 130, x + left + 110, y - 30),
            fill=(255, 208, 112),
            outline=(70, 42, 32),
            width=8,
        )
        pen.line([(x + left + 55, y - 130), (x + left + 55, y - 30)], fill=(70, 42, 32), width=6)
    pen.rectangle((x - 40, y - 120, x + 40, y + 20), fill=(84, 44, 40))
    glow(image, (x, y + 60), 260, (255, 206, 130), 0.4)


def _snowfall(image: Image.Image, throw: random.Random) -> None:
    for count, radius, blur in ((700, 3, 0), (200, 6, 2), (46, 14, 7)):
        flakes = Image.new("L", image.size)
        pen = ImageDraw.Draw(flakes)
        for _ in range(count):
            x, y, r = (
                throw.uniform(0, 2400),
                throw.uniform(0, 1600),
                radius * throw.uniform(0.6, 1.2),
            )
            pen.ellipse((x - r, y - r, x + r, y + r), fill=230)
        image.paste((255, 255, 255), mask=flakes.filter(ImageFilter.GaussianBlur(blur)))
