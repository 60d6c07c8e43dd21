"""Hyperbolic: open models on GPUs that are rented there, at an address of one's own.

Its shared inference API (api.hyperbolic.xyz) is reported to be retired. No page that says so could
be found on 2026-11-28, nor one that says that it still answers; so no key and no photo is sent to
an address that nobody named.
"""

from __future__ import annotations

from typing import ClassVar

from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend
from picture_captioner.errors import ConfigurationError


class HyperbolicBackend(OpenAIFamilyBackend):
    """Captions by a server on a GPU that was rented at Hyperbolic; `--base-url` is its address."""

    name: ClassVar[str] = "hyperbolic"
    summary: ClassVar[str] = (
        "open models on a GPU that you rent at Hyperbolic; photos leave this machine"
    )
    key_env_var: ClassVar[str | None] = "HYPERBOLIC_API_KEY"
    default_base_url: ClassVar[str] = "https://hyperbolic.invalid/v1"  # reserved: no host has it
    default_model: ClassVar[str] = "Qwen/Qwen2.5-VL-7B-Instruct"
    largest_edge: ClassVar[int] = 2048

    def check(self) -> None:
        """As in the base class, and there is no address to fall back on.

        Raises:
            ConfigurationError: no address was given.
        """
        if not self.settings.base_url:
            raise ConfigurationError(
                "Hyperbolic's shared API is retired: give the address of the GPU that you rent, "
                "--base-url (HYPERBOLIC_BASE_URL), or use --backend compatible, for example with "
                "--base-url https://router.huggingface.co/v1"
            )
        super().check()

    def reasoning_effort(self) -> str | None:
        """`none`: the servers take it, and one that does not is asked again without."""
        return "none"
