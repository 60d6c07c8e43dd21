"""What a process that reads photos gets of the environment: what libraries read, and no secrets.

One list for all of them, decoders and models.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SHELL"),
        *("VIRTUAL_ENV", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    }
)
_PREFIXES = (
    *("LC_", "PYTHON", "LD_", "DYLD_", "GLIBC_"),
    *("CUDA", "NVIDIA_", "CUDNN_", "NCCL_", "HIP_", "ROCR_", "HSA_", "MIOPEN_"),
    *("HF_", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_", "TORCH", "PYTORCH_", "TRITON_", "BNB_"),
    *("OMP_", "MKL_", "KMP_", "OPENBLAS_", "NUMEXPR_", "DNNL_", "ONEDNN_", "ORT_", "MALLOC_"),
)
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH")

_ADDRESS_WITH_PASSWORD = re.compile(r"://[^/\s]*@")

_ROOT = Path(__file__).parent.parent.parent


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What may pass: where things are, how to spell them, how libraries compute; no keys."""
    return {name: value for name, value in variables.items() if _is_allowed(name, value)}


def child_environment(parent: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a model's process.

    The hub is out of reach: what has to be downloaded is downloaded by the parent, aloud.
    """
    given = os.environ if parent is None else parent
    allowed = clean_environment(given)
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return allowed | offline | _import_path(allowed)


def _is_allowed(name: str, value: str) -> bool:
    if any(word in name.upper() for word in _SECRET) or _ADDRESS_WITH_PASSWORD.search(value):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)


def _import_path(allowed: Mapping[str, str]) -> dict[str, str]:
    """Let a child find this package in a checkout; where it is installed, it does so by itself."""
    if Path(sysconfig.get_path("purelib")) == _ROOT:
        return {}
    paths = [str(_ROOT), allowed.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
