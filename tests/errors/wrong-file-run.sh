mkdir -p reports/cut && touch reports/cut/journal.jsonl reports/cut/report.html
labctl report reports/cut/report.html
