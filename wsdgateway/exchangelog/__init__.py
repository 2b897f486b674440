"""The exchange log: who said what to whom, as lines, as captures on disk, and live."""
