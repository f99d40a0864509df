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
    from extract.documents.grounding.span import Box as Box
    from extract.documents.grounding.span import Span as Span
    from extract.documents.parts import Clip as Clip
    from extract.documents.parts import MediaPart as MediaPart
    from extract.documents.parts import Pages as Pages
    from extract.documents.parts import TextPart as TextPart
    from extract.documents.parts import Turn as Turn
    from extract.documents.windows import Union as Union
    from extract.documents.windows import Windows as Windows
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
    from extract.errors import Unavailable as Unavailable
    from extract.errors import Unfinished as Unfinished
    from extract.errors import Unreachable as Unreachable
    from extract.evaluation import Comparison as Comparison
    from extract.evaluation import Evaluation as Evaluation
    from extract.evaluation import compare as compare
    from extract.evaluation import evaluate as evaluate
    from extract.evaluation.acceptance import accept as accept
    from extract.evaluation.accepted import Acceptance as Acceptance
    from extract.evaluation.candidate_recall import CandidateRecall as CandidateRecall
    from extract.evaluation.candidate_recall import candidate_recall as candidate_recall
    from extract.evaluation.clearance import Clearance as Clearance
    from extract.evaluation.clearance import clear_of as clear_of
    from extract.evaluation.second_opinion import LabelCheck as LabelCheck
    from extract.evaluation.second_opinion import check_labels as check_labels
    from extract.extractor.candidates import Candidates as Candidates
    from extract.extractor.extractor import Extractor as Extractor
    from extract.extractor.label_tree import LabelTree as LabelTree
    from extract.extractor.nearest import Nearest as Nearest
    from extract.extractor.pack import Pack as Pack
    from extract.extractor.prompts import Example as Example
    from extract.interactions.citations import Citation as Citation
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
    from extract.interactions.endpoint import Endpoint as Endpoint
    from extract.interactions.http.retrying import Retry as Retry
    from extract.interactions.interaction import Interaction as Interaction
    from extract.interactions.parsing import parse as parse
    from extract.interactions.remote_file import RemoteFile as RemoteFile
    from extract.interactions.requests import AudioFormat as AudioFormat
    from extract.interactions.requests import Generation as Generation
    from extract.interactions.requests import ImageFormat as ImageFormat
    from extract.interactions.requests import Request as Request
    from extract.interactions.requests import SafetySetting as SafetySetting
    from extract.interactions.requests import TextFormat as TextFormat
    from extract.interactions.tools.builtin import CodeExecution as CodeExecution
    from extract.interactions.tools.builtin import ComputerUse as ComputerUse
    from extract.interactions.tools.builtin import Evidence as Evidence
    from extract.interactions.tools.builtin import FileSearch as FileSearch
    from extract.interactions.tools.builtin import GoogleMaps as GoogleMaps
    from extract.interactions.tools.builtin import GoogleSearch as GoogleSearch
    from extract.interactions.tools.builtin import McpServer as McpServer
    from extract.interactions.tools.builtin import ToolSearch as ToolSearch
    from extract.interactions.tools.builtin import UrlContext as UrlContext
    from extract.interactions.tools.builtin import evidence_of as evidence_of
    from extract.interactions.tools.functions import Function as Function
    from extract.interactions.tools.functions import FunctionResult as FunctionResult
    from extract.interactions.tools.functions import function_tool as function_tool
    from extract.interactions.tools.loop import ToolRun as ToolRun
    from extract.interactions.usage import Attempt as Attempt
    from extract.interactions.usage import Usage as Usage
    from extract.interactions.webhooks import WebhookEvent as WebhookEvent
    from extract.interactions.webhooks import verify_webhook as verify_webhook
    from extract.io.cache.response_cache import ResponseCache as ResponseCache
    from extract.io.sinks.base import Sink as Sink
    from extract.io.sources import open_source as open_source
    from extract.limits.budget import Budget as Budget
    from extract.limits.limits import Limits as Limits
    from extract.limits.outage import Outage as Outage
    from extract.report.write import write_report as write_report
    from extract.results.estimate import Estimate as Estimate
    from extract.results.outcome import Outcome as Outcome
    from extract.results.progress import Progress as Progress
    from extract.results.run import Run as Run
    from extract.results.spot_check import SpotCheck as SpotCheck
    from extract.review.gold_files import apply_decisions as apply_decisions
    from extract.review.gold_files import draw_gold as draw_gold
    from extract.review.gold_files import write_gold as write_gold
    from extract.review.open_review import open_review as open_review
    from extract.review.opened import OpenReview as OpenReview
    from extract.runner.accept import Accept as Accept
    from extract.runner.estimate import estimate as estimate
    from extract.runner.lazy import lazy_run as lazy_run
    from extract.runner.run import extract_one as extract_one
    from extract.runner.run import run as run
    from extract.runner.run import run_async as run_async
    from extract.runner.service import offline_client as offline_client
    from extract.runner.tasks import POLICIES as POLICIES
    from extract.runner.tasks import classify as classify
    from extract.runner.tasks import moderate as moderate
    from extract.schema import OutputSchema as OutputSchema
    from extract.schema import compile_schema as compile_schema
    from extract.schema.losses import Loss as Loss
    from extract.tuning.tune import tune as tune
    from extract.tuning.tuning import Proof as Proof
    from extract.tuning.tuning import Tuning as Tuning
    from extract.tuning.tuning import VariantScore as VariantScore
    from extract.tuning.variants import Variant as Variant

_NAMES_OF = {
    "documents.grounding.span": "Box Span",
    "documents.parts": "Clip MediaPart Pages TextPart Turn",
    "documents.windows": "Union Windows",
    "emulator": "Emulator",
    "errors": """AnswerError AnswerTimeout ApiError BadRecord BadRequest BadSignature Blocked BudgetExceeded ConfigError
        Denied ExtractError Incomplete InvalidAnswer Issue LostRows NotRun OutputError Overloaded QuotaExhausted
        RateLimited SchemaError SchemaTooComplex TooManyFailures Unavailable Unfinished Unreachable""",
    "evaluation": "Comparison Evaluation compare evaluate",
    "evaluation.acceptance": "accept",
    "evaluation.accepted": "Acceptance",
    "evaluation.clearance": "Clearance clear_of",
    "evaluation.second_opinion": "LabelCheck check_labels",
    "evaluation.candidate_recall": "CandidateRecall candidate_recall",
    "extractor.candidates": "Candidates",
    "extractor.extractor": "Extractor",
    "extractor.pack": "Pack",
    "extractor.label_tree": "LabelTree",
    "extractor.nearest": "Nearest",
    "extractor.prompts": "Example",
    "interactions.citations": "Citation",
    "interactions.client": "AsyncClient Client",
    "interactions.conversation": "Conversation",
    "interactions.decisions": """BooleanAnswer BooleanQuestion ChoiceAnswer ChoiceQuestion Decisions ScoreAnswer
        ScoreQuestion""",
    "interactions.endpoint": "Endpoint",
    "interactions.http.retrying": "Retry",
    "interactions.interaction": "Interaction",
    "interactions.parsing": "parse",
    "interactions.remote_file": "RemoteFile",
    "interactions.requests": "AudioFormat Generation ImageFormat Request SafetySetting TextFormat",
    "interactions.tools.builtin": """CodeExecution ComputerUse Evidence FileSearch GoogleMaps GoogleSearch McpServer
        ToolSearch UrlContext evidence_of""",
    "interactions.tools.functions": "Function FunctionResult function_tool",
    "interactions.tools.loop": "ToolRun",
    "interactions.usage": "Attempt Usage",
    "interactions.webhooks": "WebhookEvent verify_webhook",
    "io.cache.response_cache": "ResponseCache",
    "io.sinks.base": "Sink",
    "io.sources": "open_source",
    "limits.budget": "Budget",
    "limits.limits": "Limits",
    "limits.outage": "Outage",
    "report.write": "write_report",
    "results.estimate": "Estimate",
    "results.outcome": "Outcome",
    "results.progress": "Progress",
    "results.run": "Run",
    "results.spot_check": "SpotCheck",
    "review.gold_files": "apply_decisions draw_gold write_gold",
    "review.open_review": "open_review",
    "review.opened": "OpenReview",
    "runner.accept": "Accept",
    "runner.estimate": "estimate",
    "runner.lazy": "lazy_run",
    "runner.run": "extract_one run run_async",
    "runner.service": "offline_client",
    "runner.tasks": "POLICIES classify moderate",
    "schema": "OutputSchema compile_schema",
    "schema.losses": "Loss",
    "tuning.tune": "tune",
    "tuning.tuning": "Proof Tuning VariantScore",
    "tuning.variants": "Variant",
}
_MODULE_OF = {name: f"extract.{module}" for module, names in _NAMES_OF.items() for name in names.split()}

# `from extract import *` takes no name away that a program has from elsewhere: `Union` is imported by name alone.
__all__ = sorted(_MODULE_OF.keys() - {"Union"})  # noqa: PLE0605 - derived from the table, which is tested


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'extract' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    _register_namespace()
    return value


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)


def _register_namespace() -> None:
    """Give Polars frames their `df.extract`, as soon as Polars is there; what stands behind it is loaded when used."""
    polars = sys.modules.get("polars")
    if polars is not None and hasattr(polars, "api") and not hasattr(polars.DataFrame, "extract"):
        register = polars.api.register_dataframe_namespace("extract")
        register(lambda frame: import_module("extract.runner.frame").FrameNamespace(frame))
        register_lazy = polars.api.register_lazyframe_namespace("extract")
        register_lazy(lambda frame: import_module("extract.runner.frame").LazyFrameNamespace(frame))


_register_namespace()
