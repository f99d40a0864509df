"""What is read: files, PDFs, office documents; windows over long texts; where values stand."""
