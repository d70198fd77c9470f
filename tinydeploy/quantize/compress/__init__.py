"""Making networks smaller: filters, pruning, clustering, distillation, QAT; docs/compress.md."""
