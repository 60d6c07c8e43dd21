"""What is photographed or captured to be read: a screenshot and a receipt."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from drawing.canvas import Color, clouds, dice, finish, gradient, grain, soft, texture

INK: Color = (38, 42, 54)
FAINT: Color = (122, 130, 148)
ACCENT: Color = (44, 110, 232)

PURCHASES = (
    ("Rye bread", "3.20"),
    ("Apples 1.2 kg", "2.76"),
    ("Mountain cheese", "6.45"),
    ("Tomatoes 0.5 kg", "1.95"),
    ("Oat milk", "1.79"),
    ("Coffee, ground", "5.99"),
    ("Dark chocolate", "2.49"),
)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The typeface inside Pillow, so that text looks the same on every machine."""
    return ImageFont.load_default(size)


def settings_window() -> Image.Image:
    """A screenshot of a window with switches and buttons on a soft shadow; RGBA, 960x640."""
    image = Image.new("RGBA", (1920, 1280), (0, 0, 0, 0))
    shadow = Image.new("L", image.size)
    ImageDraw.Draw(shadow).rounded_rectangle((60, 76, 1860, 1244), 36, fill=150)
    image.putalpha(shadow.filter(ImageFilter.GaussianBlur(26)))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((60, 40, 1860, 1220), 32, fill=(250, 251, 253))
    pen.rounded_rectangle((60, 40, 520, 1220), 32, fill=(236, 239, 245))
    pen.rectangle((480, 40, 520, 1220), fill=(236, 239, 245))
    for i, color in enumerate(((240, 92, 84), (246, 190, 64), (84, 196, 92))):
        pen.ellipse((100 + i * 48, 80, 130 + i * 48, 110), fill=color)
    _side_bar(pen)
    _settings(pen)
    _buttons(pen)
    return finish(image)


def _side_bar(pen: ImageDraw.ImageDraw) -> None:
    entries = ("General", "Library", "Captions", "Privacy", "Storage", "Network", "About")
    for i, entry in enumerate(entries):
        y = 170 + i * 84
        chosen = entry == "Captions"
        if chosen:
            pen.rounded_rectangle((88, y - 14, 492, y + 54), 16, fill=ACCENT)
        pen.rounded_rectangle(
            (112, y + 2, 148, y + 38), 9, fill=(255, 255, 255) if chosen else FAINT
        )
        pen.text((172, y - 2), entry, font=font(34), fill=(255, 255, 255) if chosen else INK)


def _settings(pen: ImageDraw.ImageDraw) -> None:
    pen.text((590, 100), "Captions", font=font(60), fill=INK)
    pen.text((590, 184), "Choose how photos are described.", font=font(32), fill=FAINT)
    rows = (
        ("Describe new photos overnight", "Starts at 22:00 and stops at 06:00", True),
        ("Keep everything on this computer", "No photo leaves the machine", True),
        ("Write captions into the files", "Adds a sidecar next to each photo", False),
        ("Stop when the budget is spent", "Currently 5.00 per month", True),
    )
    for i, (title, detail, on) in enumerate(rows):
        y = 270 + i * 162
        pen.rounded_rectangle(
            (580, y, 1800, y + 138), 20, fill=(255, 255, 255), outline=(222, 226, 234), width=3
        )
        pen.text((620, y + 24), title, font=font(36), fill=INK)
        pen.text((620, y + 78), detail, font=font(29), fill=FAINT)
        pen.rounded_rectangle(
            (1660, y + 42, 1760, y + 96), 27, fill=ACCENT if on else (204, 209, 219)
        )
        knob = 1733 if on else 1687
        pen.ellipse((knob - 23, y + 46, knob + 23, y + 92), fill=(255, 255, 255))


def _buttons(pen: ImageDraw.ImageDraw) -> None:
    pen.rounded_rectangle((580, 950, 1800, 968), 9, fill=(226, 230, 238))
    pen.rounded_rectangle((580, 950, 1340, 968), 9, fill=ACCENT)
    pen.text((580, 986), "27,514 of 44,000 photos", font=font(30), fill=FAINT)
    for left, label, fill, ink in (
        (1280, "Cancel", (230, 233, 240), INK),
        (1550, "Apply", ACCENT, (255, 255, 255)),
    ):
        pen.rounded_rectangle((left, 1090, left + 250, 1166), 20, fill=fill)
        pen.text((left + 125, 1128), label, font=font(36), fill=ink, anchor="mm")


def receipt() -> Image.Image:
    """A till receipt that lies, a little turned, on a dark table; 750x1000."""
    size = (1500, 2000)
    image = gradient(size, [(0, (84, 60, 46)), (1, (58, 40, 32))])
    texture(image, clouds(size, 61, (1400, 22), 5), 0.45)
    slip = _slip().rotate(-3, Image.Resampling.BICUBIC, expand=True)
    at = ((size[0] - slip.width) // 2, (size[1] - slip.height) // 2)
    left, top, right, bottom = at[0] + 60, at[1] + 50, at[0] + slip.width - 20, at[1] + slip.height
    soft(image, [(left, top), (right, top), (right, bottom), (left, bottom)], (0, 0, 0), 34, 0.55)
    image.paste(slip, at, slip)
    grain(image, 8, 0.05)
    return finish(image)


def _slip() -> Image.Image:
    """The strip of paper, zigzag at both ends, RGBA."""
    slip = Image.new("RGBA", (960, 1780), (0, 0, 0, 0))
    pen = ImageDraw.Draw(slip)
    teeth = [(x, 12 if x // 24 % 2 else 0) for x in range(0, 961, 24)]
    pen.polygon([*teeth, *((x, 1780 - y) for x, y in reversed(teeth))], fill=(246, 243, 234))
    pen.text((480, 110), "CORNER MARKET", font=font(72), fill=INK, anchor="mm")
    pen.text((480, 190), "12 Lime Street, Anytown", font=font(36), fill=FAINT, anchor="mm")
    pen.text((480, 240), "24 Dec 2024   10:42", font=font(36), fill=FAINT, anchor="mm")
    _dashes(pen, 300)
    for i, (what, price) in enumerate(PURCHASES):
        pen.text((80, 350 + i * 84), what, font=font(46), fill=INK)
        pen.text((880, 350 + i * 84), price, font=font(46), fill=INK, anchor="ra")
    _dashes(pen, 960)
    _sums(pen)
    _bar_code(pen)
    return slip


def _dashes(pen: ImageDraw.ImageDraw, y: int) -> None:
    for x in range(80, 880, 32):
        pen.line([(x, y), (x + 18, y)], fill=FAINT, width=4)


def _sums(pen: ImageDraw.ImageDraw) -> None:
    total = f"{sum(float(price) for _, price in PURCHASES):.2f}"
    for y, label, value, points in (
        (1000, "TOTAL", total, 68),
        (1100, "Cash", "30.00", 46),
        (1166, "Change", f"{30 - float(total):.2f}", 46),
    ):
        pen.text((80, y), label, font=font(points), fill=INK)
        pen.text((880, y), value, font=font(points), fill=INK, anchor="ra")
    _dashes(pen, 1264)
    pen.text((480, 1330), "Thank you. Happy holidays!", font=font(46), fill=INK, anchor="mm")


def _bar_code(pen: ImageDraw.ImageDraw) -> None:
    throw, x = dice(70), 160
    while x < 790:
        width = throw.choice((4, 8, 12))
        pen.rectangle((x, 1410, x + width, 1600), fill=INK)
        x += width + throw.choice((6, 10, 14))
    pen.text((480, 1650), "4 012345 678901", font=font(40), fill=INK, anchor="mm")
