"""The few words on money that stand before the first photo."""

import pytest

from picture_captioner.backends.base import BackendSettings, CaptionBackend, ExpectedTokens
from picture_captioner.cli.commands.run import price_in_words
from picture_captioner.pipeline.asking.prices import OwnPrice, Prices

OWN = OwnPrice(input_per_million=10, output_per_million=100)


class BackendService(CaptionBackend):
    default_model = "m"

    def expected_tokens(self, width, height):
        return ExpectedTokens(image=width * height // 1000, text=0, output=10)

    def caption(self, image, hints):
        raise NotImplementedError


class Silent(BackendService):
    def expected_tokens(self, width, height):
        return None


@pytest.mark.parametrize(
    ("kind", "prices", "billed", "said"),
    [
        (BackendService, Prices(None, "m", OWN), None, "at most about 0.11 USD"),
        (BackendService, Prices(None, "m", OWN), 0.02, "about 2.00 USD, as billed so far"),
        (Silent, Prices(None, "m"), 0.02, "about 2.00 USD, as billed so far"),
        (
            Silent,
            Prices(None, "m", OWN),
            None,
            "cost unknown, since nothing says how many tokens a photo takes ('estimate --model m')",
        ),
        (BackendService, Prices(None, "m"), None, "price unknown ('estimate --model m' says why)"),
        (
            BackendService,
            Prices(None, "m", OWN, batch=True),
            None,
            'price unknown, since the price file says no "batch_share"',
        ),
        (BackendService, Prices(None, "m", free=True), None, "free"),
    ],
)
def test_a_hundred_photos_of_a_hundred_pixels(kind, prices, billed, said):
    backend = kind(BackendSettings(model="m"))
    assert price_in_words(backend, prices, 100, billed, 100, "estimate --model m") == said
