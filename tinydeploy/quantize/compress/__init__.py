"""Making networks smaller: filters, pruning, clustering, distillation, QAT; see docs/compress.md."""
