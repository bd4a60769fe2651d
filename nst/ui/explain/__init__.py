"""The tab "What is style?"."""
