"""Who takes part: ourselves, the floors, the peers."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

OWN = "own"  # the environment of the checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One row. In `version` and `http`, a package's name in braces stands for its version.

    `environment` is a heading of requirements.toml; `way` says in a few words how the library is used; `most` is how
    many records it is given where all of them are too many.
    """

    name: str
    label: str
    environment: str = OWN
    job: str
    variant: str = ""
    version: str
    http: str
    way: str
    most: int | None = None

    @property
    def packages(self) -> list[str]:
        return sorted({name for _, name, _, _ in Formatter().parse(self.version + self.http) if name})


# Daft gathers all rows of a frame at once, whatever `concurrency` says; smaller batches change the order of rows, and
# are asked all at once too.
UNBOUNDED = "`prompt` expression; `concurrency` is given, all rows are sent at once"
AIOHTTP = "aiohttp {aiohttp}"
HTTPX_OVER_AIOHTTP = "httpx {httpx} over aiohttp {aiohttp}"
HTTPX2_OVER_AIOHTTP = "httpx2 {httpx2} over aiohttp {aiohttp}"
OUR_WAY = "`run`, with a cache file"
SEMAPHORE = "async client, semaphore"

PEERS = (
    Peer(
        name="ours",
        label="**extract** (this library)",
        job="ours_job.py",
        version="{extract-interactions}",
        http="its own, on asyncio",
        way=OUR_WAY,
    ),
    Peer(
        name="ours-uvloop",
        label="**extract** with uvloop",
        job="ours_job.py",
        variant="uvloop",
        version="{extract-interactions} (uvloop {uvloop})",
        http="its own, on uvloop",
        way=OUR_WAY,
    ),
    Peer(
        name="raw",
        label="floor: raw asyncio sockets",
        job="floor_raw_job.py",
        version="pydantic {pydantic}, polars {polars}",
        http="none",
        way="one callback per answer",
    ),
    Peer(
        name="aiohttp",
        label="floor: aiohttp",
        job="floor_aiohttp_job.py",
        version="pydantic {pydantic}, polars {polars}",
        http=AIOHTTP,
        way="workers on one iterator",
    ),
    Peer(
        name="httpx2",
        label="floor: httpx2, default pool",
        job="floor_httpx_job.py",
        variant="httpx2",
        version="pydantic {pydantic}, polars {polars}",
        http="httpx2 {httpx2}",
        way="workers on one iterator",
    ),
    Peer(
        name="httpx",
        label="floor: httpx, default pool",
        job="floor_httpx_job.py",
        variant="httpx",
        version="pydantic {pydantic}, polars {polars}",
        http="httpx {httpx}",
        way="workers on one iterator",
    ),
    Peer(
        name="google-genai-interactions",
        label="google-genai, interactions",
        environment="google-genai",
        job="google_genai_job.py",
        variant="interactions",
        version="{google-genai}",
        http="httpx2 {httpx2}",
        way=SEMAPHORE,
    ),
    Peer(
        name="google-genai-generate-content",
        label="google-genai, generate_content",
        environment="google-genai",
        job="google_genai_job.py",
        variant="generate_content",
        version="{google-genai}",
        http=AIOHTTP,
        way=SEMAPHORE,
    ),
    Peer(
        name="instructor-openai-schema",
        label="instructor, OpenAI json_schema",
        environment="instructor",
        job="instructor_job.py",
        variant="openai json_schema",
        version="{instructor} (openai {openai})",
        http=HTTPX2_OVER_AIOHTTP,
        way=SEMAPHORE,
    ),
    Peer(
        name="instructor-openai-tools",
        label="instructor, OpenAI tools",
        environment="instructor",
        job="instructor_job.py",
        variant="openai tools",
        version="{instructor} (openai {openai})",
        http=HTTPX2_OVER_AIOHTTP,
        way=SEMAPHORE,
    ),
    Peer(
        name="instructor-genai",
        label="instructor, Gemini",
        environment="instructor",
        job="instructor_job.py",
        variant="genai",
        version="{instructor} (google-genai {google-genai})",
        http=AIOHTTP,
        way=SEMAPHORE,
    ),
    Peer(
        name="pydantic-ai-openai",
        label="pydantic-ai, OpenAI",
        environment="pydantic-ai",
        job="pydantic_ai_job.py",
        variant="openai",
        version="{pydantic-ai-slim} (openai {openai})",
        http=HTTPX2_OVER_AIOHTTP,
        way="one agent, `max_concurrency`",
    ),
    Peer(
        name="pydantic-ai-google",
        label="pydantic-ai, Gemini",
        environment="pydantic-ai",
        job="pydantic_ai_job.py",
        variant="google",
        version="{pydantic-ai-slim} (google-genai {google-genai})",
        http=AIOHTTP,
        way="one agent, `max_concurrency`",
    ),
    Peer(
        name="langextract",
        label="langextract, Gemini",
        environment="langextract",
        job="langextract_job.py",
        version="{langextract} (google-genai {google-genai})",
        http="httpx2 {httpx2}",
        way="`extract`, schema, an example, `max_workers`",
    ),
    Peer(
        name="curator",
        label="curator, OpenAI",
        environment="curator",
        job="curator_job.py",
        version="{bespokelabs-curator}",
        http=AIOHTTP,
        way="`LLM` class, `max_concurrent_requests`",
    ),
    Peer(
        name="daft-openai",
        label="Daft, OpenAI",
        environment="daft",
        job="daft_job.py",
        variant="openai",
        version="{daft} (openai {openai})",
        http="httpx {httpx}",
        way=UNBOUNDED,
        most=900,  # with more than the thousand connections of its pool, 2,000 records take minutes
    ),
    Peer(
        name="daft-google",
        label="Daft, Gemini",
        environment="daft",
        job="daft_job.py",
        variant="google",
        version="{daft} (google-genai {google-genai})",
        http=AIOHTTP,
        way=UNBOUNDED,
    ),
    Peer(
        name="openai",
        label="openai SDK",
        environment="openai",
        job="openai_job.py",
        version="{openai}",
        http=HTTPX2_OVER_AIOHTTP,
        way=SEMAPHORE,
    ),
    Peer(
        name="litellm-openai",
        label="litellm, OpenAI",
        environment="litellm",
        job="litellm_job.py",
        variant="openai",
        version="{litellm} (openai {openai})",
        http=HTTPX_OVER_AIOHTTP,
        way=f"`acompletion`, {SEMAPHORE}",
    ),
    Peer(
        name="litellm-gemini",
        label="litellm, Gemini",
        environment="litellm",
        job="litellm_job.py",
        variant="gemini",
        version="{litellm}",
        http=HTTPX_OVER_AIOHTTP,
        way=f"`acompletion`, {SEMAPHORE}",
    ),
)
