"""What a report says: category, priority, sentiment, language, summary, recommendation, with a confidence."""
