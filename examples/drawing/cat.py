"""A cat on a cushion, in flat shapes with soft shading."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

from drawing.canvas import (
    Color,
    Point,
    clouds,
    finish,
    glow,
    gradient,
    grain,
    mix,
    oval,
    shape,
    soft,
    texture,
)

GINGER: Color = (226, 142, 66)
STRIPE: Color = (176, 92, 36)
CREAM: Color = (252, 236, 214)
LINE: Color = (120, 62, 40)

SKULL = "-310,60 -230,-190 0,-262 230,-190 310,60 170,232 0,270 -170,232"
TRUNK = "1000,640 780,800 660,1100 700,1340 1000,1390 1300,1340 1340,1100 1220,800"
TAIL = "1290,1290 1480,1300 1600,1200 1560,1040 1490,1060 1510,1180 1430,1230 1290,1200"


def cat() -> Image.Image:
    """A ginger cat on a blue cushion by a window; 1000x800."""
    size = (2000, 1600)
    image = gradient(size, [(0, (242, 228, 206)), (1, (214, 190, 160))])
    _window(image)
    _cushion(image)
    _tail(image)
    _trunk(image)
    for side in (-1, 1):
        _leg(image, (1000 + side * 92, 1366))
    _head(image, (1000, 560))
    _face(image, (1000, 560))
    texture(image, clouds(size, 121, (24, 24), 2), 0.12)
    grain(image, 13, 0.05)
    return finish(image)


def _window(image: Image.Image) -> None:
    pane = gradient(
        (760, 900), [(0, (150, 196, 232)), (0.7, (214, 230, 226)), (1, (150, 184, 140))]
    )
    image.paste(pane.filter(ImageFilter.GaussianBlur(8)), (1180, 60))
    pen = ImageDraw.Draw(image)
    pen.rectangle((1180, 60, 1940, 960), outline=(250, 248, 242), width=34)
    pen.rectangle((1540, 60, 1574, 960), fill=(250, 248, 242))
    pen.rectangle((1140, 950, 1980, 1000), fill=(240, 234, 224))
    glow(image, (1500, 500), 1000, (255, 246, 220), 0.35)


def _cushion(image: Image.Image) -> None:
    edge = "-740,0 -680,-230 0,-310 680,-230 740,0 0,130"
    soft(image, shape(edge, (1000, 1430), 1.03), (30, 30, 60), 40, 0.5)
    soft(image, shape(edge, (1000, 1400)), (70, 104, 158))
    soft(image, shape(edge, (1000, 1270), 0.6), (112, 146, 196), 26)


def _tail(image: Image.Image) -> None:
    soft(image, shape(TAIL), GINGER)
    for x, y in ((1400, 1265), (1500, 1240), (1552, 1160)):
        soft(image, oval((x, y), 20, 56, (x - 1400) * -0.6), STRIPE, 5, 0.8)


def _trunk(image: Image.Image) -> None:
    soft(image, shape(TRUNK), GINGER)
    soft(image, shape("1240,860 1340,1100 1300,1340 1180,1360 1200,1080"), STRIPE, 40, 0.45)
    for side in (-1, 1):
        for y in (960, 1060, 1160):
            soft(image, shape("316,0 200,14 316,44", (1000, y), flip=side), STRIPE, 5, 0.85)
    soft(image, shape("1000,800 890,900 900,1120 1000,1200 1100,1120 1110,900"), CREAM, 14)


def _leg(image: Image.Image, paw: Point) -> None:
    soft(image, shape("-66,-326 -76,-36 0,30 76,-36 66,-326", paw), mix(GINGER, CREAM, 0.18), 3)
    soft(image, oval(paw, 84, 44), CREAM, 3)
    for toe in (paw[0] - 26, paw[0] + 26):
        ImageDraw.Draw(image).line([(toe, 1370), (toe, 1402)], fill=(206, 170, 140), width=6)


def _head(image: Image.Image, at: Point) -> None:
    x, y = at
    soft(image, oval((x, y + 250), 230, 90), STRIPE, 34, 0.5)
    for side in (-1, 1):
        soft(image, shape("270,-60 286,-390 60,-220", at, flip=side), GINGER)
        soft(image, shape("240,-120 258,-320 110,-200", at, flip=side), (238, 170, 150), 6)
    soft(image, shape(SKULL, at), GINGER)
    for dx, top in ((-84, -174), (0, -190), (84, -174)):
        soft(image, oval((x + dx, y + top), 17, 66, dx * 0.1), STRIPE, 4)
    for side in (-1, 1):
        for dy in (40, 110):
            soft(image, shape("300,-16 190,0 292,20", (x, y + dy), flip=side), STRIPE, 4)
        soft(image, oval((x + side * 70, y + 150), 104, 78), CREAM, 8)
    soft(image, oval((x, y + 214), 66, 44), CREAM, 4)


def _face(image: Image.Image, at: Point) -> None:
    x, y = at
    pen = ImageDraw.Draw(image)
    for side in (-1, 1):
        _eye(image, (x + side * 128, y - 10), side)
        mouth = (x + min(0, side * 84), y + 110, x + max(0, side * 84), y + 206)
        pen.arc(mouth, 20, 160, fill=LINE, width=7)
        for k in range(3):
            root = (x + side * 110, y + 150 + k * 22)
            pen.line([root, (x + side * 410, y + 96 + k * 66)], fill=(252, 248, 240), width=4)
    soft(image, shape("-38,92 38,92 0,142", at), (222, 120, 116))
    pen.line([(x, y + 138), (x, y + 166)], fill=LINE, width=7)


def _eye(image: Image.Image, at: Point, side: int) -> None:
    soft(image, oval(at, 70, 62, side * -8), (60, 40, 24))
    soft(image, oval(at, 60, 54, side * -8), (150, 190, 84))
    soft(image, oval((at[0], at[1] + 16), 54, 34), (200, 218, 110), 8, 0.8)
    soft(image, oval(at, 21, 48), (20, 18, 18))
    soft(image, oval((at[0] + 20, at[1] - 22), 12, 12), (255, 255, 255))
