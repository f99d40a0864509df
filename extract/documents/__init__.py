"""Reading documents: files, PDFs and office formats; windows over long texts; grounding values in their source."""
