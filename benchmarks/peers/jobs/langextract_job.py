"""langextract: documents through its Gemini provider, a few-shot example, an output schema, threads of its own."""

from __future__ import annotations

import langextract as lx
from langextract.core.data import AnnotatedDocument, Document
from work import GEMINI, KEY, TOPICS, Message, Task, measure, write

EXAMPLE = lx.data.ExampleData(
    text="message 4: billing of day 4",
    extractions=[lx.data.Extraction("topic", "billing", attributes={"score": "4"})],
)
ATTRIBUTES = {"type": "object", "properties": {"score": {"type": "string"}}, "required": ["score"]}
EXTRACTION = {
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": list(TOPICS)}, "topic_attributes": ATTRIBUTES},
    "required": ["topic", "topic_attributes"],
}
SCHEMA = {
    "type": "object",
    "properties": {"extractions": {"type": "array", "items": EXTRACTION}},
    "required": ["extractions"],
}


def job(task: Task) -> None:
    documents = lx.extract(
        [Document(text=text, document_id=str(number)) for number, text in enumerate(task.texts)],
        prompt_description="Sort this message: name its topic, and give it a score from 0 to 10.",
        examples=[EXAMPLE],
        model_id=GEMINI,
        api_key=KEY,
        output_schema=SCHEMA,
        # A batch ends before the next one begins, and its threads with it: one batch leaves no gaps.
        batch_length=max(task.count, task.concurrency),
        max_workers=task.concurrency,
        language_model_params={"http_options": {"base_url": task.url}},
        show_progress=False,
    )
    write(task, [message(document) for document in documents])


def message(document: AnnotatedDocument) -> Message:
    assert document.extractions
    found = document.extractions[0]
    return Message(topic=found.extraction_text, score=int((found.attributes or {})["score"]))


if __name__ == "__main__":
    measure(job)
