"""Streets: a city at night after rain, and a foggy street in black and white."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

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
    mix,
    oval,
    soft,
    stretch,
    texture,
)

LAMPS: tuple[Color, ...] = ((255, 206, 120), (255, 232, 190), (250, 180, 96), (170, 214, 255))
SIGNS: tuple[Color, ...] = ((255, 70, 110), (70, 214, 255), (255, 190, 60), (150, 110, 255))


def city_at_night() -> Image.Image:
    """Towers with lit windows, mirrored in a river under the moon; 800x1200."""
    size, bank = (1600, 2400), 1640
    image = gradient(
        size, [(0, (8, 10, 34)), (0.4, (28, 34, 84)), (0.68, (110, 72, 118)), (1, (60, 40, 80))]
    )
    throw = dice(41)
    pen = ImageDraw.Draw(image)
    for _ in range(160):
        x, y, r = throw.uniform(0, 1600), throw.uniform(0, 900), throw.uniform(1, 3)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(220, 224, 255))
    glow(image, (1240, 330), 420, (180, 196, 255), 0.5)
    soft(image, oval((1240, 330), 88, 88), (246, 244, 228), 2)
    for row, (low, high, wall) in enumerate(
        ((520, 900, (50, 46, 92)), (340, 1000, (32, 32, 68)), (240, 560, (18, 19, 42)))
    ):
        _towers(image, bank, (low, high), wall, throw, row)
    _river(image, bank)
    _cars(image, bank, throw)
    grain(image, 6, 0.05)
    return finish(image)


def _towers(
    image: Image.Image,
    bank: int,
    heights: tuple[int, int],
    wall: Color,
    throw: random.Random,
    row: int,
) -> None:
    """One row of towers across the picture; rows drawn later stand nearer and are darker."""
    x = -throw.randint(0, 80)
    while x < image.width:
        width = throw.randint(110, 230)
        top = bank - throw.randint(*heights)
        _tower(
            image, (x, top, x + width, bank), mix(wall, (70, 60, 110), throw.random() * 0.18), throw
        )
        x += width + throw.randint(-10, 30) * (row + 1)


def _tower(
    image: Image.Image, box: tuple[int, int, int, int], wall: Color, throw: random.Random
) -> None:
    left, top, right, bottom = box
    pen = ImageDraw.Draw(image)
    pen.rectangle(box, fill=wall)
    pen.rectangle((right - 22, top, right, bottom), fill=mix(wall, (0, 0, 0), 0.3))
    if throw.random() < 0.4:
        pen.line([(left + 40, top), (left + 40, top - 90)], fill=wall, width=7)
        glow(image, (left + 40, top - 90), 26, (255, 60, 60))
    lit = throw.uniform(0.25, 0.7)
    for y in range(top + 26, bottom - 30, 38):
        for x in range(left + 16, right - 36, 30):
            dark = mix(wall, (0, 0, 0), 0.25)
            on = throw.random() < lit
            pen.rectangle(
                (x, y, x + 16, y + 22),
                fill=mix(throw.choice(LAMPS), wall, throw.random() * 0.5) if on else dark,
            )
    if throw.random() < 0.35:
        _sign(image, (left + 30, top + 90, left + 70, top + 330), throw.choice(SIGNS))


def _sign(image: Image.Image, box: tuple[int, int, int, int], color: Color) -> None:
    glow(image, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), 240, color, 0.5)
    ImageDraw.Draw(image).rounded_rectangle(box, 14, fill=mix(color, (255, 255, 255), 0.25))


def _river(image: Image.Image, bank: int) -> None:
    """The skyline upside down, smeared by the water, darker towards the viewer."""
    depth = image.height - bank
    above = image.crop((0, bank - depth, image.width, bank)).transpose(
        Image.Transpose.FLIP_TOP_BOTTOM
    )
    smeared = above.filter(ImageFilter.BoxBlur((3, 26)))
    water = ImageChops.multiply(
        smeared, gradient(smeared.size, [(0, (190, 190, 220)), (1, (90, 90, 140))])
    )
    texture(water, clouds(water.size, 19, (340, 18), 4), 0.9)
    image.paste(water, (0, bank))


def _cars(image: Image.Image, bank: int, throw: random.Random) -> None:
    """A quay with lamps and the lights of traffic."""
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, bank - 34, 1600, bank + 14), fill=(16, 15, 30))
    for x in range(60, 1600, 210):
        pen.line([(x, bank - 20), (x, bank - 120)], fill=(12, 12, 24), width=7)
        glow(image, (x, bank - 124), 90, (255, 214, 140), 0.9)
        glow(image, (x, bank + 120), 150, (255, 190, 110), 0.28)
    for _ in range(34):
        glow(
            image,
            (throw.uniform(0, 1600), bank - 24),
            22,
            throw.choice(((255, 70, 60), (255, 244, 214))),
        )


def foggy_street() -> Image.Image:
    """A street that runs into fog, lamps, two people under an umbrella; in grey, 800x1000."""
    size, vanish = (1600, 2000), (820, 1020)
    image = gradient(size, [(0, (150, 150, 150)), (0.5, (236, 236, 236)), (1, (120, 120, 120))])
    throw = dice(52)
    _pavement(image, vanish)
    for step in range(7, 0, -1):
        near, far = _row(vanish, step), _row(vanish, step + 1)
        shade = 40 + 26 * step
        _house(image, (near[0], far[0]), vanish, shade, throw)
        _house(image, (near[1], far[1]), vanish, shade + 12, throw)
    for step in (5, 4, 3, 2):
        _lamp(image, vanish, step)
    glow(image, vanish, 620, (250, 250, 250), 0.75)
    _couple(image, (860, 1560))
    grain(image, 9, 0.16)
    return finish(image.convert("L"))


def _row(vanish: Point, step: int) -> tuple[float, float]:
    """Left and right x of the house fronts, `step` houses away."""
    half = 1250 / (step + 0.35)
    return vanish[0] - half, vanish[0] + half


def _house(
    image: Image.Image, span: tuple[float, float], vanish: Point, shade: int, throw: random.Random
) -> None:
    """A house front in perspective between the x of its near and its far edge."""
    near, far = span
    tall = throw.uniform(1.15, 1.5)

    def at(x: float, level: float) -> Point:
        return x, vanish[1] - abs(x - vanish[0]) * level

    outline = [at(near, tall), at(far, tall), at(far, -0.62), at(near, -0.62)]
    soft(image, outline, (shade, shade, shade))
    soft(
        image,
        [at(near, tall), at(far, tall), at(far, tall - 0.06), at(near, tall - 0.06)],
        (shade - 20,) * 3,
    )
    for floor in (0.88, 0.52, 0.16, -0.2):
        for column in range(3):
            a, b = (near + (far - near) * (column * 0.3 + edge) for edge in (0.12, 0.28))
            light = 225 if throw.random() < 0.16 else shade - 26
            soft(
                image,
                [at(a, floor), at(b, floor), at(b, floor - 0.22), at(a, floor - 0.22)],
                (light,) * 3,
            )


def _pavement(image: Image.Image, vanish: Point) -> None:
    """Wet cobbles: noise that is finer the farther away it lies, and the shine of the fog."""
    road = gradient((1600, 980), [(0, (226, 226, 226)), (0.35, (120, 120, 120)), (1, (58, 58, 58))])
    texture(road, clouds(road.size, 23, (220, 16), 4), 0.3)
    image.paste(road, (0, round(vanish[1])))
    shine = stretch(clouds(image.size, 29, (160, 70), 4), 120, 230, 150)
    pool = Image.new("L", image.size)
    ImageDraw.Draw(pool).polygon([(790, 1030), (850, 1030), (1180, 2000), (560, 2000)], fill=255)
    pool = ImageChops.multiply(pool.filter(ImageFilter.GaussianBlur(60)), shine)
    image.paste((236, 236, 236), mask=pool)


def _lamp(image: Image.Image, vanish: Point, step: int) -> None:
    x = vanish[0] - 760 / (step + 0.35)
    away = vanish[0] - x
    foot, top = vanish[1] + away * 0.98, vanish[1] - away * 1.5
    shade = 16 + 24 * step
    pen = ImageDraw.Draw(image)
    pen.line([(x, foot), (x, top)], fill=(shade,) * 3, width=max(4, 30 // step))
    pen.line([(x, top), (x + away * 0.34, top)], fill=(shade,) * 3, width=max(4, 24 // step))
    pen.ellipse(
        (x - 40 / step, foot - 30 / step, x + 40 / step, foot + 20 / step), fill=(shade,) * 3
    )
    glow(image, (x + away * 0.34, top + 10), away * 0.55, (255, 255, 255), 0.95)


def _couple(image: Image.Image, at: Point) -> None:
    """Two people seen from behind, under one umbrella, with their reflection."""
    x, y = at
    soft(image, oval((x, y + 130), 120, 150), (30, 30, 30), 26, 0.5)
    dark = (22, 22, 22)
    for dx, tall, wide in ((-62, 330, 56), (62, 300, 50)):
        coat = [
            (x + dx - wide * 0.6, y - tall + 70),
            (x + dx + wide * 0.6, y - tall + 70),
            (x + dx + wide, y - 90),
            (x + dx - wide, y - 90),
        ]
        soft(image, curve(coat), dark)
        soft(image, oval((x + dx, y - tall + 28), 30, 38), dark)
        for leg in (-20, 20):
            soft(
                image,
                [
                    (x + dx + leg - 13, y - 110),
                    (x + dx + leg + 13, y - 110),
                    (x + dx + leg + 9, y),
                    (x + dx + leg - 11, y),
                ],
                dark,
            )
    canopy = [
        (x - 220, y - 320),
        (x - 170, y - 410),
        (x, y - 470),
        (x + 170, y - 410),
        (x + 220, y - 320),
        (x + 110, y - 345),
        (x, y - 325),
        (x - 110, y - 345),
    ]
    soft(image, curve(canopy), (12, 12, 12))
    ImageDraw.Draw(image).line([(x, y - 470), (x, y - 180)], fill=(12, 12, 12), width=7)
