"""The person with one suspicious model: from its file to a verdict, a cleaned file and a report. Needs no Ray."""
