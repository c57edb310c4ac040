"""Views of a recorded run: HTML, JUnit, Markdown."""
