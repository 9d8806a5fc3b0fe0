# Evaluation and report.
