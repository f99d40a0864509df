"""Structured extraction over tables and documents with Google's Gemini Interactions API.

    from extract import Extractor, run

    result = run(frame, Extractor(Ticket, "Sort this message:\\n\\n{body}"))
    result.frame

Names are loaded on first use, so that `import extract` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extract.budget import Budget as Budget
    from extract.cache import ResponseCache as ResponseCache
    from extract.checking import LabelCheck as LabelCheck
    from extract.checking import check_labels as check_labels
    from extract.emulator import Emulator as Emulator
    from extract.errors import AnswerError as AnswerError
    from extract.errors import AnswerTimeout as AnswerTimeout
    from extract.errors import ApiError as ApiError
    from extract.errors import BadRecord as BadRecord
    from extract.errors import BadRequest as BadRequest
    from extract.errors import BadSignature as BadSignature
    from extract.errors import Blocked as Blocked
    from extract.errors import BudgetExceeded as BudgetExceeded
    from extract.errors import ConfigError as ConfigError
    from extract.errors import Denied as Denied
    from extract.errors import ExtractError as ExtractError
    from extract.errors import Incomplete as Incomplete
    from extract.errors import InvalidAnswer as InvalidAnswer
    from extract.errors import Issue as Issue
    from extract.errors import LostRows as LostRows
    from extract.errors import NotRun as NotRun
    from extract.errors import OutputError as OutputError
    from extract.errors import Overloaded as Overloaded
    from extract.errors import QuotaExhausted as QuotaExhausted
    from extract.errors import RateLimited as RateLimited
    from extract.errors import SchemaError as SchemaError
    from extract.errors import SchemaTooComplex as SchemaTooComplex
    from extract.errors import TooManyFailures as TooManyFailures
    from extract.errors import Unfinished as Unfinished
    from extract.errors import Unreachable as Unreachable
    from extract.evaluation import Comparison as Comparison
    from extract.evaluation import Evaluation as Evaluation
    from extract.evaluation import compare as compare
    from extract.evaluation import evaluate as evaluate
    from extract.extractor import Extractor as Extractor
    from extract.interactions.client import AsyncClient as AsyncClient
    from extract.interactions.client import Client as Client
    from extract.interactions.conversation import Conversation as Conversation
    from extract.interactions.decisions import BooleanAnswer as BooleanAnswer
    from extract.interactions.decisions import BooleanQuestion as BooleanQuestion
    from extract.interactions.decisions import ChoiceAnswer as ChoiceAnswer
    from extract.interactions.decisions import ChoiceQuestion as ChoiceQuestion
    from extract.interactions.decisions import Decisions as Decisions
    from extract.interactions.decisions import ScoreAnswer as ScoreAnswer
    from extract.interactions.decisions import ScoreQuestion as ScoreQuestion
    from extract.interactions.files import RemoteFile as RemoteFile
    from extract.interactions.functions import Function as Function
    from extract.interactions.functions import FunctionResult as FunctionResult
    from extract.interactions.functions import function_tool as function_tool
    from extract.interactions.structured import parse as parse
    from extract.interactions.tool_loop import ToolRun as ToolRun
    from extract.interactions.tools import CodeExecution as CodeExecution
    from extract.interactions.tools import ComputerUse as ComputerUse
    from extract.interactions.tools import Evidence as Evidence
    from extract.interactions.tools import FileSearch as FileSearch
    from extract.interactions.tools import GoogleMaps as GoogleMaps
    from extract.interactions.tools import GoogleSearch as GoogleSearch
    from extract.interactions.tools import McpServer as McpServer
    from extract.interactions.tools import UrlContext as UrlContext
    from extract.interactions.tools import evidence_of as evidence_of
    from extract.interactions.webhooks import WebhookEvent as WebhookEvent
    from extract.interactions.webhooks import verify_webhook as verify_webhook
    from extract.limits import Limits as Limits
    from extract.limits import Retry as Retry
    from extract.prompts import Example as Example
    from extract.results import Progress as Progress
    from extract.results import Run as Run
    from extract.runs import extract_one as extract_one
    from extract.runs import offline_client as offline_client
    from extract.runs import run as run
    from extract.runs import run_async as run_async
    from extract.schema import OutputSchema as OutputSchema
    from extract.schema import compile_schema as compile_schema
    from extract.spans import Span as Span
    from extract.spotcheck import SpotCheck as SpotCheck
    from extract.tasks import POLICIES as POLICIES
    from extract.tasks import classify as classify
    from extract.tasks import moderate as moderate
    from extract.types import Attempt as Attempt
    from extract.types import AudioFormat as AudioFormat
    from extract.types import Citation as Citation
    from extract.types import Clip as Clip
    from extract.types import Generation as Generation
    from extract.types import ImageFormat as ImageFormat
    from extract.types import Interaction as Interaction
    from extract.types import Loss as Loss
    from extract.types import MediaPart as MediaPart
    from extract.types import Outcome as Outcome
    from extract.types import Pages as Pages
    from extract.types import Request as Request
    from extract.types import SafetySetting as SafetySetting
    from extract.types import TextFormat as TextFormat
    from extract.types import TextPart as TextPart
    from extract.types import Turn as Turn
    from extract.types import Usage as Usage
    from extract.windows import Union as Union
    from extract.windows import Windows as Windows

_NAMES_OF = {
    "budget": "Budget",
    "cache": "ResponseCache",
    "checking": "LabelCheck check_labels",
    "emulator": "Emulator",
    "errors": """AnswerError AnswerTimeout ApiError BadRecord BadRequest BadSignature Blocked BudgetExceeded
        ConfigError Denied ExtractError Incomplete InvalidAnswer Issue LostRows NotRun OutputError
        Overloaded QuotaExhausted RateLimited SchemaError SchemaTooComplex TooManyFailures Unfinished
        Unreachable""",
    "evaluation": "Comparison Evaluation compare evaluate",
    "extractor": "Extractor",
    "interactions.client": "AsyncClient Client",
    "interactions.conversation": "Conversation",
    "interactions.decisions": """BooleanAnswer BooleanQuestion ChoiceAnswer ChoiceQuestion Decisions ScoreAnswer
        ScoreQuestion""",
    "interactions.files": "RemoteFile",
    "interactions.functions": "Function FunctionResult function_tool",
    "interactions.structured": "parse",
    "interactions.tool_loop": "ToolRun",
    "interactions.tools": """CodeExecution ComputerUse Evidence FileSearch GoogleMaps GoogleSearch McpServer UrlContext
        evidence_of""",
    "interactions.webhooks": "WebhookEvent verify_webhook",
    "limits": "Limits Retry",
    "prompts": "Example",
    "results": "Progress Run",
    "spans": "Span",
    "spotcheck": "SpotCheck",
    "tasks": "POLICIES classify moderate",
    "windows": "Union Windows",
    "runs": "extract_one offline_client run run_async",
    "schema": "OutputSchema compile_schema",
    "types": """Attempt AudioFormat Citation Clip Generation ImageFormat Interaction Loss MediaPart Outcome Pages
        Request SafetySetting TextFormat TextPart Turn Usage""",
}
_MODULE_OF = {name: f"extract.{module}" for module, names in _NAMES_OF.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - derived from the table, and tested to equal the imports for types


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'extract' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    _register_namespace()
    return value


def __dir__() -> list[str]:
    return __all__


def _register_namespace() -> None:
    """Give Polars frames their `df.extract`, as soon as Polars is there; what stands behind it is loaded when used."""
    polars = sys.modules.get("polars")
    if polars is not None and hasattr(polars, "api") and not hasattr(polars.DataFrame, "extract"):
        register = polars.api.register_dataframe_namespace("extract")
        register(lambda frame: import_module("extract.frame").FrameNamespace(frame))
        register_lazy = polars.api.register_lazyframe_namespace("extract")
        register_lazy(lambda frame: import_module("extract.frame").LazyFrameNamespace(frame))


_register_namespace()
