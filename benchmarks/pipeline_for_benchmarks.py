"""The pipeline that the benchmarks run: a label and a number."""

from typing import Literal

from pydantic import BaseModel, Field

from extract import Extractor


class Message(BaseModel):
    """One message, sorted."""

    topic: Literal["billing", "bug", "praise", "other"]
    score: int = Field(ge=0, le=10)


extractor = Extractor(Message, "Sort this message: {text}", model="gemini-3.5-flash-lite")
