"""The same extractor on a Ray cluster. Needs the extra `ray`; `import extract` knows nothing of it."""

from __future__ import annotations

from extract.errors import ConfigError

try:
    import ray.data  # noqa: F401 - whether it is there is all that is asked here
except ImportError:
    raise ConfigError("Ray is not installed; pip install 'extract-interactions[ray]'") from None

from extract.distributed.dataset import extract_dataset

__all__ = ["extract_dataset"]
