"""Model files of every kind that Pocketfit reads, with the answers of whoever wrote them."""
