"""Finds a pipeline by its name: `file.py` or `module:name` to the Extractor that it defines."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from extract.errors import ConfigError, ExtractError
from extract.extractor.extractor import Extractor

__all__ = ["load_pipeline", "pipeline_name"]


def load_pipeline(pipeline: str) -> Extractor:
    """Return the Extractor that a pipeline defines. This runs the file's code; ConfigError says where it fails."""
    if pipeline.endswith(".py"):
        return _extractor_of(_load_file(Path(pipeline)), "extractor", pipeline)
    module, colon, name = pipeline.partition(":")
    if not colon or not name or not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"{pipeline!r} is not a pipeline; give a file.py or module:name")
    return _extractor_of(_load_module(module), name, pipeline)


def pipeline_name(pipeline: str) -> str:
    """Return the name of a pipeline in its outputs: the same, whatever the folder of the file."""
    return Path(pipeline).stem if pipeline.endswith(".py") else pipeline


def _extractor_of(module: ModuleType, name: str, pipeline: str) -> Extractor:
    extractor = getattr(module, name, None)
    if not isinstance(extractor, Extractor):
        raise ConfigError(f"{pipeline} defines no Extractor named {name!r}")
    return extractor


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no pipeline {str(path)!r}")
    name = f"extract_pipeline_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python")
    module = module_from_spec(spec)
    sys.modules[name] = module  # Pydantic looks annotations up by the module's name
    try:
        spec.loader.exec_module(module)
    except ExtractError:
        raise
    except Exception as error:
        raise ConfigError(f"{path}{_line_of(error, path)}: {type(error).__name__}: {error}") from None
    return module


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return import_module(name)
    except ExtractError:
        raise
    except Exception as error:
        raise ConfigError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove("")


def _line_of(error: BaseException, path: Path) -> str:
    """Return `, line N` for the place in the pipeline that raised, or ""."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f", line {lines[-1]}" if lines else ""
